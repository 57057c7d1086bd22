//! The hub as its clients see it: whatever the order of things, counts equal sets and everyone sees the same.

mod client;
mod doors;
mod order;
mod presence;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures_util::FutureExt as _;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, advance};

use client::{Client, View};

use super::*;
use crate::clock::Clock;
use crate::domain::occupancy::Occupancy;
use crate::domain::resource::ResourceId;

const CLIENTS: usize = 4;
const CHANNELS: [&str; 2] = ["one", "two"];
const ALL: Modes = Modes::all();

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

fn resource() -> ResourceId {
    uuid::Uuid::nil().into()
}

fn limits() -> Limits {
    let often = NonZeroU32::new(1_000_000).expect("some");
    Limits {
        connections: 100,
        connections_per_client: 50,
        output_memory: 1 << 30,
        rooms_per_connection: 2,
        members_per_room: 3,
        presence_memory: 1 << 20,
        replay_memory: 1 << 28,
        message_size: 1_000,
        rate_per_connection: often,
        rate_per_room: often,
        occupancy_interval: Duration::from_secs(1),
    }
}

fn hub() -> Arc<Hub> {
    Hub::new(limits(), Clock::standing(DateTime::UNIX_EPOCH))
}

#[derive(Debug, Clone)]
enum Step {
    Connect(usize),
    Break(usize),
    Close(usize),
    Attach(usize, usize, u8),
    Detach(usize, usize),
    Presence(usize, usize, PresenceAction),
    Publish(usize, usize),
    Regrant(usize, u8),
    Evict(usize, usize),
    Listen(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (client, channel) = (0..CLIENTS, 0..CHANNELS.len());
    let action = prop::sample::select(vec![PresenceAction::Enter, PresenceAction::Update, PresenceAction::Leave]);
    prop_oneof![
        3 => client.clone().prop_map(Step::Connect),
        2 => client.clone().prop_map(Step::Break),
        1 => client.clone().prop_map(Step::Close),
        6 => (client.clone(), channel.clone(), any::<u8>()).prop_map(|(a, b, c)| Step::Attach(a, b, c)),
        2 => (client.clone(), channel.clone()).prop_map(|(a, b)| Step::Detach(a, b)),
        6 => (client.clone(), channel.clone(), action).prop_map(|(a, b, c)| Step::Presence(a, b, c)),
        3 => (client.clone(), channel.clone()).prop_map(|(a, b)| Step::Publish(a, b)),
        1 => (client.clone(), any::<u8>()).prop_map(|(a, b)| Step::Regrant(a, b)),
        1 => (client.clone(), channel.clone()).prop_map(|(a, b)| Step::Evict(a, b)),
        2 => client.prop_map(Step::Listen),
        3 => prop::sample::select(vec![10, 60, 1_100, 14_000, 16_000, 121_000]).prop_map(Step::Pass),
    ]
}

async fn pass(hub: &Hub, millis: u64) {
    hub.clock.advance(chrono::TimeDelta::milliseconds(i64::try_from(millis).expect("a while")));
    advance(Duration::from_millis(millis)).await;
    hub.tick(Instant::now());
}

async fn take(hub: &Arc<Hub>, clients: &mut [Client], step: Step) {
    match step {
        Step::Connect(n) => clients[n].connect(hub),
        Step::Break(n) => drop(clients[n].session.take()),
        Step::Close(n) => clients[n].close(),
        Step::Attach(n, c, bits) => {
            let modes = Modes::from_bits_truncate(bits);
            clients[n].attach(CHANNELS[c], if modes.is_empty() { ALL } else { modes });
        }
        Step::Detach(n, c) => clients[n].detach(CHANNELS[c]),
        Step::Presence(n, c, action) => drop(clients[n].presence(CHANNELS[c], action)),
        Step::Publish(n, c) => drop(clients[n].publish(CHANNELS[c], "hello")),
        Step::Regrant(n, bits) => {
            clients[n].listen();
            let Client { session, views, .. } = &mut clients[n];
            for lost in session.iter().flat_map(|s| {
                s.regrant(|_| Grant { modes: Modes::from_bits_truncate(bits), occupancy: bits & 0x80 == 0 })
            }) {
                views.insert(lost.to_string(), View::default());
            }
        }
        Step::Evict(n, c) => drop(hub.evict(resource(), CHANNELS[c], &clients[n].name)),
        Step::Listen(n) => clients[n].listen(),
        Step::Pass(millis) => pass(hub, millis).await,
    }
}

/// What the sets say, counted anew.
fn counted(hub: &Hub, clients: &[Client], channel: &str) -> Occupancy {
    let attached = clients.iter().filter(|client| client.session.is_some()).filter_map(|c| c.views[channel].modes);
    let with = |mode: Modes| attached.clone().filter(|modes| modes.contains(mode)).count() as u32;
    Occupancy {
        connections: attached.clone().count() as u32,
        publishers: with(Modes::PUBLISH),
        subscribers: with(Modes::SUBSCRIBE),
        presence_connections: with(Modes::PRESENCE),
        presence_subscribers: with(Modes::PRESENCE_SUBSCRIBE),
        presence_members: hub.members(resource(), channel).len() as u32,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_happens_counts_equal_sets_and_everyone_sees_the_same(steps in prop::collection::vec(step(), 1..80)) {
        runtime().block_on(async {
            let hub = hub();
            let mut clients: Vec<Client> = (0..CLIENTS).map(Client::new).collect();
            for step in steps {
                take(&hub, &mut clients, step).await;
                clients.iter_mut().for_each(Client::listen);
                for channel in CHANNELS {
                    let kept = hub.occupancy(resource(), channel).unwrap_or_default();
                    prop_assert_eq!(kept, counted(&hub, &clients, channel));
                }
            }
            // Those whose connection broke off are gone in the end, and everyone was told.
            pass(&hub, 20_000).await;
            pass(&hub, 2_000).await;
            clients.iter_mut().for_each(Client::listen);
            for channel in CHANNELS {
                let members = hub.members(resource(), channel);
                let members: BTreeSet<_> = members.into_iter().map(|m| (m.connection, m.client_id.to_string())).collect();
                let counts = hub.occupancy(resource(), channel).unwrap_or_default();
                for client in clients.iter().filter(|client| client.session.is_some()) {
                    let view = &client.views[channel];
                    let Some(modes) = view.modes else { continue };
                    if modes.contains(Modes::PRESENCE_SUBSCRIBE) {
                        prop_assert_eq!(&view.members, &members);
                    }
                    if modes.contains(Modes::SUBSCRIBE) && view.listens {
                        prop_assert_eq!(view.occupancy, Some(counts));
                    }
                }
            }
            // And nothing is left of a room that nobody comes back to.
            clients.iter_mut().for_each(Client::close);
            pass(&hub, 121_000).await;
            prop_assert_eq!(CHANNELS.map(|channel| hub.occupancy(resource(), channel)), [None, None]);
            Ok(())
        })?;
    }
}

#[test]
fn a_room_where_something_is_always_due_is_looked_at_no_more_often_for_it() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, _bob) = two(&hub);
        for _ in 0..200 {
            let _ = ann.presence("one", PresenceAction::Enter);
            pass(&hub, 60).await;
            let _ = ann.presence("one", PresenceAction::Leave);
            pass(&hub, 60).await;
            ann.listen();
        }

        assert!(hub.schedule.len() < 5, "{}", hub.schedule.len());
    });
}

#[test]
fn nobody_stays_present_without_the_mode_for_it() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, _bob) = two(&hub);
        let _ = ann.presence("one", PresenceAction::Enter);
        ann.attach("one", Modes::SUBSCRIBE);

        assert!(hub.members(resource(), "one").is_empty());
    });
}

#[test]
fn updates_end_with_the_right_to_them() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, mut bob) = two(&hub);
        pass(&hub, 2_000).await;
        ann.listen();
        let _ = ann.session.as_ref().expect("ann").regrant(|_| Grant { modes: ALL, occupancy: false });
        let _ = bob.presence("one", PresenceAction::Enter);
        pass(&hub, 2_000).await;
        ann.listen();

        let seen = ann.views["one"].occupancy.expect("from before");
        assert_eq!((seen.presence_members, ann.views["one"].listens), (0, false));
    });
}

#[test]
fn one_client_that_comes_and_goes_takes_nobody_elses_way_back() {
    runtime().block_on(async {
        let hub = Hub::new(Limits { connections: 3, ..limits() }, Clock::standing(DateTime::UNIX_EPOCH));
        let (mut ann, mut bob) = two(&hub);
        ann.session = None;
        for _ in 0..10 {
            bob.session = None;
            bob.connect(&hub);
        }
        let key = ann.key.clone();
        ann.connect(&hub);

        assert_eq!(ann.key, key);
    });
}

/// Two clients, in room `one`.
fn two(hub: &Arc<Hub>) -> (Client, Client) {
    let (mut ann, mut bob) = (Client::new(1), Client::new(2));
    for client in [&mut ann, &mut bob] {
        client.connect(hub);
        client.attach("one", ALL);
    }
    (ann, bob)
}

#[test]
fn what_a_client_missed_for_a_moment_is_told_when_it_is_back() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, mut bob) = two(&hub);
        ann.session = None;
        pass(&hub, 5_000).await;
        let _ = bob.publish("one", "while away");
        ann.connect(&hub);

        assert_eq!(ann.views["one"].texts, ["while away"]);
        assert_eq!(ann.views["one"].discontinuities, 0);
    });
}

#[test]
fn what_is_not_kept_any_more_is_a_discontinuity() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, mut bob) = two(&hub);
        ann.session = None;
        let _ = bob.publish("one", "long ago");
        pass(&hub, 121_000).await;
        let _ = bob.publish("one", "now");
        ann.connect(&hub);

        assert!(ann.views["one"].texts.is_empty());
        assert_eq!(ann.views["one"].discontinuities, 1);
    });
}

#[test]
fn a_quiet_room_is_resumed_although_everyone_was_away() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, mut bob) = two(&hub);
        (ann.session, bob.session) = (None, None);
        pass(&hub, 60_000).await;
        ann.connect(&hub);

        assert_eq!(ann.views["one"].discontinuities, 0);
    });
}

#[test]
fn a_frame_that_comes_again_after_a_drop_is_published_once() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, mut bob) = two(&hub);
        let first = ann.publish("one", "once");
        ann.session = None;
        ann.connect(&hub);
        ann.serial -= 1; // the answer was not seen
        let again = ann.publish("one", "once");
        bob.listen();

        assert_eq!(first, again);
        assert_eq!(bob.views["one"].texts, ["once"]);
    });
}

#[test]
fn a_member_stays_for_a_while_when_its_connection_breaks_off() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, _bob) = two(&hub);
        let _ = ann.presence("one", PresenceAction::Enter);
        ann.session = None;
        let members = || hub.occupancy(resource(), "one").expect("a room").presence_members;

        pass(&hub, 14_900).await;
        assert_eq!(members(), 1);
        pass(&hub, 200).await;
        assert_eq!(members(), 0);
    });
}

#[test]
fn an_evicted_client_takes_the_leave_for_its_own() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, bob) = two(&hub);
        let _ = ann.presence("one", PresenceAction::Enter);
        while bob.session.as_ref().expect("bob").outbox().next().now_or_never().is_some() {}
        assert_eq!(hub.evict(resource(), "one", "c1"), 1);

        let told = bob.session.as_ref().expect("bob").outbox().next().now_or_never();
        let Some(Batch::Ordered(batch)) = told else { panic!("{told:?}") };
        let Some(Tell::Shared(heard)) = batch.front() else { panic!("{batch:?}") };
        let Event::Presence { items, .. } = &heard.told.event else { panic!("{heard:?}") };
        assert_eq!(items[0].id, format!("{}:0:1", ann.session.as_ref().expect("ann").id()));
        assert_eq!(items[0].action, PresenceAction::Leave);
    });
}

#[test]
fn an_evicted_client_that_did_not_hear_of_it_does_not_enter_by_coming_back() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, _bob) = two(&hub);
        let _ = ann.presence("one", PresenceAction::Enter);
        let id = hub.members(resource(), "one")[0].id.clone();
        ann.session = None;
        hub.evict(resource(), "one", "c1");
        ann.connect(&hub);
        let again =
            NewPresence { id: Some(id), client_id: None, action: PresenceAction::Enter, payload: Payload::default() };
        let answer = ann.session.as_ref().expect("ann").presence(ann.serial, "one", vec![again], None);

        assert_eq!(answer, Ok(vec![]));
        assert!(hub.members(resource(), "one").is_empty());
    });
}

#[test]
fn another_client_does_not_resume_a_connection() {
    runtime().block_on(async {
        let hub = hub();
        let (ann, _bob) = two(&hub);
        let mut eve = Client::new(3);
        eve.key = ann.key.clone();
        eve.connect(&hub);

        assert_ne!(eve.key, ann.key);
    });
}

#[test]
fn a_new_transport_takes_over_from_one_that_is_still_open() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, _bob) = two(&hub);
        let _ = ann.presence("one", PresenceAction::Enter);
        let old = ann.session.take().expect("a session");
        ann.connect(&hub);

        assert!(matches!(old.outbox().next().await, Batch::End(End::Superseded)));
        drop(old);
        let now = hub.occupancy(resource(), "one").expect("a room");
        assert_eq!((now.connections, now.presence_members), (2, 1));
    });
}

#[test]
fn a_room_holds_no_more_members_than_it_may() {
    runtime().block_on(async {
        let hub = hub();
        let mut clients: Vec<Client> = (0..4).map(Client::new).collect();
        let mut enter = |client: &mut Client| {
            client.connect(&hub);
            client.attach("one", ALL);
            client.presence("one", PresenceAction::Enter)
        };
        let answers: Vec<_> = clients.iter_mut().filter_map(&mut enter).collect();

        assert!(answers[..3].iter().all(Result::is_ok));
        assert_eq!(answers[3], Err(Refusal::TooManyMembers(3)));
    });
}

#[test]
fn a_node_holds_no_more_clients_than_it_may() {
    let hub = Hub::new(Limits { connections: 1, ..limits() }, Clock::standing(DateTime::UNIX_EPOCH));
    let first = hub.place();

    let kept = hub.place();

    assert!(first.is_ok() && kept.is_ok(), "one more is kept for backends");
    assert!(hub.place().is_err());
    drop(first);
    assert!(hub.place().is_ok());
}

#[test]
fn what_the_service_says_itself_nobody_else_says() {
    let hub = hub();
    let (ann, _bob) = two(&hub);
    let payload = Payload::default();
    let message = NewMessage { client_id: None, name: Some("[meta]occupancy".into()), payload, is_ephemeral: false };

    let answer = ann.session.as_ref().expect("a session").publish(0, "one", vec![message], None);
    assert!(matches!(answer, Err(Refusal::Malformed(_))));
}

#[test]
fn what_was_on_its_way_when_a_connection_broke_off_is_said_before_it_attaches_again() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, mut bob) = two(&hub);
        ann.session = None;
        let owner = Owner { resource: resource(), identity: Identity::Client("c1".into()) };
        let (session, refused) =
            hub.open(hub.place().expect("a place"), owner, None, ann.key.as_deref(), None, true).expect("a session");
        ann.session = Some(session);
        let answer = ann.publish("one", "on its way");
        ann.attach("one", ALL);
        bob.listen();

        assert_eq!((refused, answer.map(|answer| answer.is_ok())), (None, Some(true)));
        assert_eq!(bob.views["one"].texts, ["on its way"]);
        assert_eq!(ann.views["one"].texts, ["on its way"]);
    });
}

#[test]
fn what_a_socket_lost_that_was_still_open_is_told_over_the_next() {
    runtime().block_on(async {
        let hub = hub();
        let (mut ann, mut bob) = two(&hub);
        let old = ann.session.take();
        let _ = bob.publish("one", "into the void");
        ann.connect(&hub);

        assert_eq!(ann.views["one"].texts, ["into the void"]);
        drop(old);
    });
}

#[test]
fn a_node_keeps_some_places_for_backends() {
    let hub = Hub::new(Limits { connections: 1, ..limits() }, Clock::standing(DateTime::UNIX_EPOCH));
    let owner = || Owner { resource: resource(), identity: Identity::Anyone };
    let open = |holder: Option<&str>| {
        let place = hub.place()?;
        hub.open(place, owner(), holder.map(Arc::from), None, None, true).map(|(session, _)| session)
    };
    let first = open(Some("ann"));

    assert!(first.is_ok());
    assert_eq!(open(Some("bob")).err(), Some(Full::Node));
    assert!(open(None).is_ok());
}

#[test]
fn who_connects_and_breaks_off_again_and_again_takes_its_own_places_alone() {
    runtime().block_on(async {
        let hub = Hub::new(Limits { connections_per_client: 3, ..limits() }, Clock::standing(DateTime::UNIX_EPOCH));
        let (mut ann, _bob) = two(&hub);
        let (key, owner) = (ann.key.clone(), Owner { resource: resource(), identity: Identity::Client("eve".into()) });
        ann.session = None;
        let open = || {
            let place = hub.place().expect("a place");
            hub.open(place, owner.clone(), Some("eve".into()), None, None, true).map(|(session, _)| session)
        };
        for _ in 0..200 {
            assert!(open().is_ok(), "those that broke off make room");
        }
        let held: Vec<_> = (0..3).map(|_| open().expect("a session")).collect();

        assert_eq!(open().err(), Some(Full::Holder));
        drop(held);
        ann.connect(&hub);
        assert_eq!(ann.key, key);
    });
}
