//! What was told in a room lately: for whoever was away for a moment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::event::Told;
use super::serial::Serial;

/// How long, how many and how much of a room is kept (ably-chat.md, section 3.9).
const KEPT_FOR: Duration = Duration::from_secs(120);
const MOST: usize = 4_000;
const MOST_BYTES: usize = 3 * 1024 * 1024;
/// An event is kept as it is, and rendered in both formats.
const COPIES: usize = 3;
/// What all rooms of a node keep together; beyond it a busy one keeps little.
const NODE_BYTES: usize = 256 * 1024 * 1024;
const LITTLE: usize = 64 * 1024;

/// Bytes that all rooms keep.
pub type Kept = Arc<AtomicUsize>;

/// The last events of a room, each with its place in the room's order.
#[derive(Debug)]
pub struct Replay {
    /// Everything after this one is still here.
    floor: Serial,
    head: Serial,
    events: VecDeque<Past>,
    bytes: usize,
    of_node: Kept,
}

#[derive(Debug)]
struct Past {
    serial: Serial,
    at: Instant,
    told: Arc<Told>,
    size: usize,
}

impl Replay {
    /// A room's memory, which begins at `first`.
    pub fn new(first: Serial, of_node: Kept) -> Self {
        Self { floor: first, head: first, events: VecDeque::new(), bytes: 0, of_node }
    }

    /// The place of the last event.
    pub fn head(&self) -> Serial {
        self.head
    }

    /// Keeps an event, which comes after all others, and lets go of what is too old or too much.
    pub fn push(&mut self, serial: Serial, at: Instant, told: Arc<Told>) {
        let size = COPIES * told.size();
        self.head = serial;
        self.bytes += size;
        let of_node = self.of_node.fetch_add(size, Ordering::Relaxed) + size;
        self.events.push_back(Past { serial, at, told, size });
        let most_bytes = if of_node > NODE_BYTES { LITTLE } else { MOST_BYTES };
        while self.events.len() > MOST || self.bytes > most_bytes {
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
            self.bytes -= kept.size;
            self.of_node.fetch_sub(kept.size, Ordering::Relaxed);
        }
        if self.events.is_empty() {
            self.events = VecDeque::new(); // its memory, too
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.of_node.fetch_sub(self.bytes, Ordering::Relaxed);
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
        let mut replay = Replay::new(first, Kept::default());
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
        let mut replay = Replay::new(first, Kept::default());
        let now = Instant::now();
        replay.push(first.next(2), now, told("a"));
        replay.trim(now + KEPT_FOR + Duration::from_millis(1));

        assert!(replay.since(first).is_none());
        assert_eq!(replay.since(replay.head()).map(Iterator::count), Some(0));
    }

    #[test]
    fn a_busy_room_keeps_as_much_as_it_may() {
        let first = Serial::first(1);
        let mut replay = Replay::new(first, Kept::default());
        let text = "x".repeat(60_000);
        for n in 2..40 {
            replay.push(replay.head().next(n), Instant::now(), told(&text));
        }

        assert!(replay.bytes <= MOST_BYTES);
        assert!(replay.since(first).is_none());
    }

    #[test]
    fn on_a_node_that_keeps_much_a_room_keeps_little() {
        let of_node = Kept::default();
        of_node.store(NODE_BYTES, Ordering::Relaxed);
        let first = Serial::first(1);
        let mut replay = Replay::new(first, Arc::clone(&of_node));
        for n in 2..40 {
            replay.push(replay.head().next(n), Instant::now(), told(&"x".repeat(6_000)));
        }

        assert!(replay.bytes <= LITTLE);
        drop(replay);
        assert_eq!(of_node.load(Ordering::Relaxed), NODE_BYTES);
    }
}
