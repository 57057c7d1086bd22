//! Who may be in a room, judged while others come and go.

use chrono::TimeDelta;

use super::*;
use crate::domain::door::{Door, Refused};
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::room_options::RoomOptions;
use crate::domain::validity::Validity;

const ROOM: RoomId = RoomId::from_i64(994_000_000_000_000_001);
const NAME: &str = "kitchen";

fn open(hub: &Arc<Hub>, name: &str) -> Session {
    let owner = Owner { resource: resource(), identity: Identity::Client(name.into()) };
    hub.open(hub.place().expect("a place"), owner, None, None, None, true).expect("a session").0
}

fn hour() -> Validity {
    Validity::from_stored(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::hours(1))
}

/// Read of the room of the name; `None` if no backend has made it.
fn read(hub: &Hub, called: &str, version: Option<i64>) -> Entry {
    let managed =
        version.map(|version| Read { room: ROOM, name: Some(RoomName::from_stored(NAME)), seen: (hour(), version) });
    Entry { called: called.into(), turn: hub.turn(resource(), called), managed }
}

fn enter(session: &Session, who: &str, entry: &Entry, found: Option<RoomId>) -> Result<Attaching, Refusal> {
    let (channel, who, modes) = (&*entry.called, &Who::User(who.into()), ALL);
    let attach = Attach { channel, place: NAME, modes, asked: modes, occupancy: false, since: None, who, entry, found };
    session.attach(attach)
}

fn door(version: i64, roles: &[(&str, Role)]) -> Door {
    Door {
        room: ROOM,
        name: Some(RoomName::from_stored(NAME)),
        options: RoomOptions::default(),
        validity: hour(),
        version,
        roles: roles.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect(),
    }
}

fn judge(hub: &Hub, door: Option<&Door>, asked: &[&str]) -> bool {
    let asked: Vec<Arc<str>> = asked.iter().map(|name| Arc::from(*name)).collect();
    hub.judge(resource(), ROOM, door, &asked, DateTime::UNIX_EPOCH)
}

const DONE: Result<Attaching, Refusal> = Ok(Attaching::Done { members: 0, bytes: 0 });

#[test]
fn a_window_that_ends_between_reading_and_entering_is_noticed() {
    runtime().block_on(async {
        let clock = Clock::standing(DateTime::UNIX_EPOCH);
        let hub = Hub::new(limits(), clock.clone());
        let ann = open(&hub, "ann");
        let open_yet = read(&hub, NAME, Some(0));
        clock.advance(TimeDelta::hours(1));

        assert_eq!(enter(&ann, "ann", &open_yet, None), DONE);
        assert_eq!(hub.turned(clock.now()), [(resource(), ROOM)]);
    });
}

#[test]
fn who_enters_by_an_older_reading_than_others_makes_the_room_be_looked_at_again() {
    runtime().block_on(async {
        let hub = hub();
        let (ann, bob) = (open(&hub, "ann"), open(&hub, "bob"));
        let (older, newer) = (read(&hub, NAME, Some(1)), read(&hub, NAME, Some(2)));

        assert_eq!(enter(&bob, "bob", &newer, None), DONE);
        assert_eq!(hub.managed(), [((resource(), ROOM), (hour(), 2))]);
        assert_eq!(enter(&ann, "ann", &older, None), DONE);
        assert_ne!(hub.managed(), [((resource(), ROOM), (hour(), 2))]);
    });
}

#[test]
fn a_room_that_all_were_put_out_of_is_let_go_of() {
    runtime().block_on(async {
        let hub = hub();
        let ann = open(&hub, "ann");
        assert_eq!(enter(&ann, "ann", &read(&hub, NAME, None), None), DONE);
        assert_eq!(hub.named().len(), 1);

        hub.close_named(resource(), &NAME.into());
        assert!(hub.named().is_empty());
    });
}

#[test]
fn who_was_put_out_by_the_id_and_came_back_by_the_name_may_attach_again() {
    runtime().block_on(async {
        let hub = hub();
        let ann = open(&hub, "ann");
        assert_eq!(enter(&ann, "ann", &read(&hub, &ROOM.to_string(), Some(0)), None), DONE);
        assert!(!judge(&hub, Some(&door(1, &[])), &["ann"]));

        for _ in 0..2 {
            assert_eq!(enter(&ann, "ann", &read(&hub, NAME, Some(2)), None), DONE);
        }
    });
}

#[test]
fn who_came_in_after_the_room_was_read_is_not_judged_by_that() {
    runtime().block_on(async {
        let hub = hub();
        let ann = open(&hub, "ann");
        assert_eq!(enter(&ann, "ann", &read(&hub, NAME, Some(1)), None), DONE);

        assert!(judge(&hub, Some(&door(1, &[])), &["bob"]), "the room is to be read again");
        assert_eq!(hub.inside(resource(), ROOM).connections, 1);
    });
}

#[test]
fn who_enters_what_is_left_of_a_room_that_is_gone_meets_nobody_and_hears_nothing_of_it() {
    runtime().block_on(async {
        let hub = hub();
        let (ann, bob) = (open(&hub, "ann"), open(&hub, "bob"));
        assert_eq!(enter(&ann, "ann", &read(&hub, NAME, Some(0)), None), DONE);
        let payload = Payload::default();
        let message = NewMessage { client_id: None, name: None, payload, is_ephemeral: false };
        ann.publish(0, NAME, vec![message], None).expect("published");

        // Deleted elsewhere, and not heard of here: the name leads to no managed room any more.
        let since = read(&hub, NAME, None);
        assert_eq!(enter(&bob, "bob", &since, None), Ok(Attaching::Belongs(ROOM)));
        assert_eq!(enter(&bob, "bob", &since, Some(ROOM)), DONE);

        assert_eq!(hub.inside(resource(), ROOM).connections, 0);
        assert_eq!(hub.occupancy(resource(), NAME).map(|now| now.connections), Some(1));
        let Some(Batch::Ordered(told)) = ann.outbox().next().now_or_never() else { panic!("nothing told") };
        let Some(Tell::Shared(last)) = told.back() else { panic!("{told:?}") };
        assert_eq!(last.told.event, Event::Ejected(Refused::NoSuchRoom));
    });
}
