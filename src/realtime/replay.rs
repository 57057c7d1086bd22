//! The recent events of a room, for clients that resume.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::event::Told;
use super::memory::{Kept, Memory};
use super::serial::Serial;
use crate::budget::Budget;

/// How long, how many and how much of a room is kept (ably-chat.md, section 3.9).
const KEPT_FOR: Duration = Duration::from_secs(120);
const MOST: usize = 4_000;
const MOST_BYTES: usize = 3 * 1024 * 1024;
/// The same where all rooms of the node keep more than they may.
const LITTLE: usize = 64 * 1024;
/// The memory of an event's place in the queue; half of the places may be empty.
const PLACE: usize = 2 * size_of::<Past>();

/// The last events of a room, each with its place in the room's order.
#[derive(Debug)]
pub struct Replay {
    /// Everything after this one is still here.
    floor: Serial,
    head: Serial,
    events: VecDeque<Past>,
    kept: Arc<Kept>,
    /// Events that wait for clients, also those that are no longer kept here.
    output: Budget,
}

#[derive(Debug)]
struct Past {
    serial: Serial,
    at: Instant,
    told: Arc<Told>,
}

impl Replay {
    /// A room's memory, which begins at `first`.
    pub fn new(first: Serial, of_node: Arc<Memory>, output: Budget) -> Self {
        Self { floor: first, head: first, events: VecDeque::new(), kept: Arc::new(Kept::new(of_node)), output }
    }

    /// The place of the last event.
    pub fn head(&self) -> Serial {
        self.head
    }

    /// Keeps an event, which comes after all others, and lets go of what is too old or too much.
    pub fn push(&mut self, serial: Serial, at: Instant, told: Arc<Told>) {
        self.head = serial;
        told.count(&self.kept);
        self.kept.add(PLACE);
        self.events.push_back(Past { serial, at, told });
        let most_bytes = if self.kept.of_node().is_over() { LITTLE } else { MOST_BYTES };
        while self.events.len() > MOST || (self.kept.here() > most_bytes && !self.events.is_empty()) {
            self.drop_oldest();
        }
        self.trim(at);
    }

    /// Lets go of what is too old.
    pub fn trim(&mut self, now: Instant) {
        while self.events.front().is_some_and(|kept| now.duration_since(kept.at) > KEPT_FOR) {
            self.drop_oldest();
        }
    }

    /// Everything that came after `serial`, unless some of it is gone.
    pub fn since(&self, serial: Serial) -> Option<impl Iterator<Item = &Arc<Told>>> {
        let is_covered = (self.floor..=self.head).contains(&serial);
        let start = self.events.partition_point(|kept| kept.serial <= serial);
        is_covered.then(|| self.events.range(start..).map(|kept| &kept.told))
    }

    /// Lets go of everything: those who come next must not be told of it.
    pub fn forget(&mut self) {
        while !self.events.is_empty() {
            self.drop_oldest();
        }
        self.floor = self.head;
    }

    fn drop_oldest(&mut self) {
        if let Some(kept) = self.events.pop_front() {
            self.floor = kept.serial;
            kept.told.count_no_more(&self.output);
            self.kept.sub(PLACE);
        }
        if self.events.is_empty() {
            self.events = VecDeque::new(); // its memory, too
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.forget(); // those who are still to be told hold events
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono::DateTime;

    use super::super::event::{Event, Heard, Message};
    use super::super::payload::{Data, Payload};
    use super::*;

    const NODE: usize = 1 << 28;

    fn output() -> Budget {
        Budget::new(NODE)
    }

    fn memory() -> Arc<Memory> {
        Memory::new(NODE)
    }

    fn told(text: &str) -> Arc<Told> {
        let payload = Payload { data: Some(Data::Text(text.into())), ..Payload::default() };
        let message = Message { id: String::new(), client_id: None, name: None, payload, serial: None };
        let event = Event::Messages { from: 1.into(), id: String::new(), serial: None, messages: vec![message] };
        Arc::new(Told::new("room".into(), DateTime::UNIX_EPOCH, event))
    }

    #[test]
    fn what_came_after_a_serial_is_told_in_order() {
        let first = Serial::first(1);
        let mut replay = Replay::new(first, memory(), output());
        let now = Instant::now();
        let (second, third) = (first.next(2), first.next(3));
        replay.push(second, now, told("a"));
        replay.push(third, now, told("b"));

        let count = |serial| replay.since(serial).map(Iterator::count);
        assert_eq!((count(first), count(second), count(third)), (Some(2), Some(1), Some(0)));
        assert_eq!(count(third.next(4)), None, "of the future");
    }

    #[test]
    fn what_is_older_than_two_minutes_is_not_promised() {
        let first = Serial::first(1);
        let mut replay = Replay::new(first, memory(), output());
        let now = Instant::now();
        replay.push(first.next(2), now, told("a"));
        replay.trim(now + KEPT_FOR + Duration::from_millis(1));

        assert!(replay.since(first).is_none());
        assert_eq!(replay.since(replay.head()).map(Iterator::count), Some(0));
    }

    #[test]
    fn a_busy_room_keeps_as_much_as_it_may() {
        let first = Serial::first(1);
        let mut replay = Replay::new(first, memory(), output());
        let text = "x".repeat(60_000);
        for n in 2..80 {
            replay.push(replay.head().next(n), Instant::now(), told(&text));
        }

        assert!((MOST_BYTES / 2..=MOST_BYTES).contains(&replay.kept.here()));
        assert!(replay.since(first).is_none());
    }

    #[test]
    fn on_a_node_that_keeps_much_a_room_keeps_little() {
        let of_node = memory();
        of_node.add(NODE);
        let first = Serial::first(1);
        let mut replay = Replay::new(first, Arc::clone(&of_node), output());
        for n in 2..40 {
            replay.push(replay.head().next(n), Instant::now(), told(&"x".repeat(6_000)));
        }

        assert!(replay.kept.here() <= LITTLE);
        drop(replay);
        assert_eq!(of_node.kept(), NODE);
    }

    #[test]
    fn what_is_rendered_is_counted_for_as_long_as_it_is_kept() {
        let of_node = memory();
        let first = Serial::first(1);
        let mut replay = Replay::new(first, Arc::clone(&of_node), output());
        let heard = Heard { told: told("a"), alias: None };
        replay.push(first.next(2), Instant::now(), Arc::clone(&heard.told));
        let before = of_node.kept();
        heard.form(0, |_| Bytes::from(vec![0; 10_000]));
        assert!((10_000..11_000).contains(&(of_node.kept() - before)));

        replay.forget();
        assert_eq!(of_node.kept(), 0);
        heard.form(1, |_| Bytes::from(vec![0; 10_000]));
        assert_eq!(of_node.kept(), 0, "it is not the room's any more");
    }
}
