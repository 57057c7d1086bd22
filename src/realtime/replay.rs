//! What was told in a room lately: for whoever was away for a moment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::event::Told;
use super::serial::Serial;

/// How long, how many and how much of a room is kept (ably-chat.md, section 3.9).
const KEPT_FOR: Duration = Duration::from_secs(120);
const MOST: usize = 4_000;
const MOST_BYTES: usize = 1024 * 1024;

/// The last events of a room, each with its place in the room's order.
#[derive(Debug)]
pub struct Replay {
    /// Everything after this one is still here.
    floor: Serial,
    head: Serial,
    kept: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    serial: Serial,
    at: Instant,
    told: Arc<Told>,
    size: usize,
}

impl Replay {
    /// A room's memory, which begins at `first`.
    pub fn new(first: Serial) -> Self {
        Self { floor: first, head: first, kept: VecDeque::new(), bytes: 0 }
    }

    /// The place of the last event.
    pub fn head(&self) -> Serial {
        self.head
    }

    /// Keeps an event, which comes after all others, and lets go of what is too old or too much.
    pub fn push(&mut self, serial: Serial, at: Instant, told: Arc<Told>) {
        let size = told.size();
        self.head = serial;
        self.bytes += size;
        self.kept.push_back(Kept { serial, at, told, size });
        while self.kept.len() > MOST || self.bytes > MOST_BYTES {
            self.drop_oldest();
        }
        self.trim(at);
    }

    /// Lets go of what is too old.
    pub fn trim(&mut self, now: Instant) {
        while self.kept.front().is_some_and(|kept| now.duration_since(kept.at) > KEPT_FOR) {
            self.drop_oldest();
        }
    }

    /// Everything that came after `serial`, unless some of it is gone.
    pub fn since(&self, serial: Serial) -> Option<impl Iterator<Item = &Arc<Told>>> {
        let is_covered = (self.floor..=self.head).contains(&serial);
        let start = self.kept.partition_point(|kept| kept.serial <= serial);
        is_covered.then(|| self.kept.range(start..).map(|kept| &kept.told))
    }

    fn drop_oldest(&mut self) {
        if let Some(kept) = self.kept.pop_front() {
            self.floor = kept.serial;
            self.bytes -= kept.size;
        }
        if self.kept.is_empty() {
            self.kept = VecDeque::new(); // its memory, too
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::event::{Data, Event, Message, Payload};
    use super::*;

    fn told(text: &str) -> Arc<Told> {
        let payload = Payload { data: Some(Data::Text(text.to_owned())), ..Payload::default() };
        let message = Message { id: String::new(), client_id: None, name: None, payload, serial: None };
        let event = Event::Messages { from: 1.into(), id: String::new(), serial: None, messages: vec![message] };
        Arc::new(Told::new("room".into(), DateTime::UNIX_EPOCH, event))
    }

    #[test]
    fn what_came_after_a_serial_is_told_in_order() {
        let first = Serial::first(1);
        let mut replay = Replay::new(first);
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
        let mut replay = Replay::new(first);
        let now = Instant::now();
        replay.push(first.next(2), now, told("a"));
        replay.trim(now + KEPT_FOR + Duration::from_millis(1));

        assert!(replay.since(first).is_none());
        assert_eq!(replay.since(replay.head()).map(Iterator::count), Some(0));
    }

    #[test]
    fn a_busy_room_keeps_as_much_as_it_may() {
        let first = Serial::first(1);
        let mut replay = Replay::new(first);
        let text = "x".repeat(60_000);
        for n in 2..40 {
            replay.push(replay.head().next(n), Instant::now(), told(&text));
        }

        assert!(replay.bytes <= MOST_BYTES);
        assert!(replay.since(first).is_none());
    }
}
