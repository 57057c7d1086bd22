//! How much members keep, together and on a node.

use super::*;

fn enter(session: &Session, serial: u64, channel: &str, clients: &[(&str, usize)]) -> Answer {
    let item = |(client, bytes): &(&str, usize)| {
        let data = Some(Data::Raw(Raw { form: 0, bytes: vec![b'1'; *bytes].into() }));
        let payload = Payload { data, ..Payload::default() };
        NewPresence { id: None, client_id: Some((*client).to_owned()), action: PresenceAction::Update, payload }
    };
    session.presence(serial, channel, clients.iter().map(item).collect(), None)
}

/// A backend in both rooms, which speaks for anyone.
fn backend(hub: &Arc<Hub>) -> Session {
    let owner = Owner { resource: resource(), identity: Identity::Anyone };
    let (session, _) = hub.open(hub.place().expect("a place"), owner, None, None, None, true).expect("a session");
    for channel in CHANNELS {
        let entry = Entry { called: channel.into(), turn: hub.turn(resource(), channel), managed: None };
        let (who, place) = (&Who::Backend, channel);
        let attach = Attach {
            channel,
            place,
            modes: ALL,
            asked: ALL,
            occupancy: false,
            since: None,
            who,
            entry: &entry,
            found: None,
        };
        assert!(matches!(session.attach(attach), Ok(Attaching::Done { .. })));
    }
    session
}

fn hub_of(presence_memory: usize) -> Arc<Hub> {
    let limits = Limits { members_per_room: 200, message_size: 1 << 20, presence_memory, ..limits() };
    Hub::new(limits, Clock::standing(DateTime::UNIX_EPOCH))
}

#[test]
fn all_rooms_of_a_node_keep_no_more_of_their_members_than_they_may() {
    runtime().block_on(async {
        let hub = hub_of(100_000);
        let backend = backend(&hub);

        assert!(enter(&backend, 0, "one", &[("a", 40_000)]).is_ok());
        assert!(enter(&backend, 1, "two", &[("b", 40_000)]).is_ok());
        assert_eq!(enter(&backend, 2, "two", &[("c", 30_000)]), Err(Refusal::TooMuchPresenceData));
        assert_eq!(enter(&backend, 3, "one", &[("a", 70_000)]), Err(Refusal::TooMuchPresenceData));
        assert!(enter(&backend, 4, "one", &[("a", 39_000)]).is_ok(), "what shrinks is taken");
        backend.detach("one");
        assert!(enter(&backend, 5, "two", &[("c", 30_000)]).is_ok(), "there is room again");
        backend.close();
        pass(&hub, 121_000).await;
        assert_eq!((hub.present.kept(), hub.replayed.kept()), (0, 0));
    });
}

#[test]
fn a_client_that_a_frame_names_twice_does_not_keep_more_for_it() {
    runtime().block_on(async {
        let hub = hub_of(100_000);
        let backend = backend(&hub);

        assert!(enter(&backend, 0, "one", &[("a", 60_000)]).is_ok());
        assert_eq!(enter(&backend, 1, "one", &[("a", 1), ("a", 110_000)]), Err(Refusal::TooMuchPresenceData));
        assert!(enter(&backend, 2, "one", &[("a", 90_000), ("a", 1)]).is_ok(), "the last is what is kept");
    });
}

#[test]
fn members_are_shared_by_all_who_are_told_of_them() {
    runtime().block_on(async {
        let hub = hub_of(1 << 20);
        let backend = backend(&hub);
        let _ = enter(&backend, 0, "one", &[("a", 15_000)]);
        let (ann, bob) = two(&hub);
        let told = |client: &Client| {
            let Some(Batch::Ordered(batch)) = client.session.as_ref()?.outbox().next().now_or_never() else {
                return None;
            };
            batch.iter().find_map(|tell| match tell {
                Tell::Shared(heard) => match &heard.told.event {
                    Event::Sync { items, .. } => Some(Arc::clone(&items[0])),
                    _ => None,
                },
                Tell::Own(_) => None,
            })
        };
        let _ = (told(&ann), told(&bob));
        let item = Arc::clone(&hub.members(resource(), "one")[0]);
        let mut eve = Client::new(3);
        eve.connect(&hub);
        assert!(Arc::ptr_eq(&item, &hub.members(resource(), "one")[0]));
        // The room itself, what it replays, and we.
        assert_eq!(Arc::strong_count(&item), 3);
    });
}

#[test]
fn those_who_attach_while_nobody_comes_or_goes_share_what_they_are_told_of_the_members() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, _bob) = two(&hub);
        let _ = ann.presence("one", PresenceAction::Enter);
        let attach = |n| {
            let mut client = Client::new(n);
            client.connect(&hub);
            let session = client.session.take().expect("a session");
            let entry = Entry { called: "one".into(), turn: hub.turn(resource(), "one"), managed: None };
            let (channel, place, modes, who) = ("one", "one", ALL, &Who::Backend);
            let entry = &entry;
            let attach =
                Attach { channel, place, modes, asked: modes, occupancy: false, since: None, who, entry, found: None };
            assert!(session.attach(attach).is_ok());
            let Some(Batch::Ordered(batch)) = session.outbox().next().now_or_never() else { panic!("nothing") };
            let page = batch.into_iter().find_map(|tell| match tell {
                Tell::Shared(heard) if matches!(heard.told.event, Event::Sync { .. }) => Some(heard.told),
                _ => None,
            });
            (session, page.expect("a page"))
        };
        let (first, second) = (attach(5), attach(6));
        let _ = ann.presence("one", PresenceAction::Update);
        let third = attach(7);

        assert!(Arc::ptr_eq(&first.1, &second.1));
        assert!(!Arc::ptr_eq(&second.1, &third.1));
    });
}
