//! The order of a room, whatever the clock does.

use chrono::TimeDelta;

use super::*;

/// What a client was told of its room, in order, as time and serial.
fn told(client: &Client) -> Vec<(i64, String)> {
    let mut told = Vec::new();
    while let Some(Batch::Ordered(batch)) = client.session.as_ref().and_then(|s| s.outbox().next().now_or_never()) {
        for tell in batch {
            let Tell::Shared(Heard { told: event, .. }) = tell else { continue };
            let serial = match &event.event {
                Event::Attached(attached) => attached.serial.clone(),
                Event::Messages { serial, .. } => serial.clone().unwrap_or_default(),
                Event::Presence { serial, items, .. } => {
                    assert!(items.iter().all(|item| item.timestamp == event.at), "{items:?}");
                    serial.clone()
                }
                _ => String::new(),
            };
            told.push((event.at.timestamp_millis(), serial));
        }
    }
    told
}

fn at(hour: i64) -> Clock {
    Clock::standing(DateTime::UNIX_EPOCH + TimeDelta::hours(hour))
}

#[test]
fn a_clock_that_goes_back_takes_no_time_of_a_room_back() {
    runtime().block_on(async {
        let hub = Hub::new(limits(), at(1_000));
        let (mut ann, bob) = two(&hub);
        let _ = ann.presence("one", PresenceAction::Enter);
        hub.clock.advance(TimeDelta::hours(-1));
        let _ = ann.publish("one", "after");
        ann.session = None;
        pass(&hub, 16_000).await;

        let told = told(&bob);
        assert!(told.len() >= 3, "enter, message and leave: {told:?}");
        assert!(told.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1), "{told:?}");
        let serials = told.iter().filter(|(_, serial)| !serial.is_empty());
        assert!(serials.clone().all(|(at, serial)| serial.starts_with(&format!("{at:014}-"))), "{told:?}");
    });
}

#[test]
fn an_ephemeral_message_has_no_earlier_time_than_what_was_told_before() {
    runtime().block_on(async {
        let hub = Hub::new(limits(), at(1_000));
        let (mut ann, bob) = two(&hub);
        let _ = ann.presence("one", PresenceAction::Enter);
        hub.clock.advance(TimeDelta::hours(-1));
        let (name, payload) = (Some("typing.started".to_owned()), Payload::default());
        let typing = NewMessage { client_id: None, name, payload, is_ephemeral: true };
        let _ = ann.session.as_ref().expect("ann").publish(ann.serial, "one", vec![typing], None);

        let told = told(&bob);
        assert_eq!(told.last().map(|(_, serial)| &**serial), Some(""));
        assert!(told.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{told:?}");
    });
}

#[test]
fn a_room_that_begins_again_begins_after_all_that_was_told_in_it() {
    runtime().block_on(async {
        let hub = Hub::new(limits(), at(1_000));
        let (mut ann, mut bob) = two(&hub);
        let _ = ann.publish("one", "last");
        bob.listen();
        let before = bob.views["one"].since.clone();
        ann.close();
        bob.close();
        pass(&hub, 121_000).await;
        hub.clock.advance(TimeDelta::hours(-1));
        let (_ann, bob) = two(&hub);

        assert!(bob.views["one"].since > before);
    });
}

#[test]
fn the_ceiling_of_serials_is_due_only_while_a_room_is_live() {
    runtime().block_on(async {
        let hub = Hub::new(limits(), at(1_000));
        let to = hub.ceiling_to_begin(resource()).expect("it begins");
        assert_eq!(hub.ceilings_due(), []);
        hub.ceiling_raised(resource(), 0, to);
        assert_eq!(hub.ceiling_to_begin(resource()), None);

        let (mut ann, mut bob) = two(&hub);
        pass(&hub, 6_000).await;
        assert_eq!(hub.ceiling_to_begin(resource()), None, "it began");
        assert_eq!(hub.ceilings_due(), [(resource(), to + 6_000)]);

        ann.close();
        bob.close();
        pass(&hub, 121_000).await;
        assert_eq!(hub.ceilings_due(), []);
    });
}
