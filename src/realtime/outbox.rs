//! What one client is still to be told: in order, and bounded.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::event::Heard;

/// The most that waits for a client. One that reads slower is parted from; it resumes, and is told
/// from the room's own memory what it missed: so this holds more than that does.
const MOST: usize = 5_000;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// One thing to tell.
#[derive(Debug, Clone)]
pub enum Tell {
    /// Of a room; others are told the same.
    Shared(Heard),
    /// A frame that the protocol made for this client alone.
    Own(Bytes),
}

impl Tell {
    fn size(&self) -> usize {
        match self {
            Self::Shared(heard) => heard.told.size(),
            Self::Own(frame) => frame.len(),
        }
    }
}

/// Why a client's transport has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It reads too slowly.
    Overflow,
    /// The connection goes on over another transport.
    Superseded,
    /// Its token was revoked.
    Revoked,
    /// The service stops.
    Stopping,
}

/// What there is to write next.
#[derive(Debug)]
pub enum Batch {
    Ordered(VecDeque<Tell>),
    /// One update a room at most, the newest.
    Occupancy(Vec<Heard>),
    End(End),
}

/// The queue between the rooms of a client and its transport.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
    filled: Notify,
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    ordered: VecDeque<Tell>,
    bytes: usize,
    /// Apart: an update between a client's own echo and its ACK makes the SDK lose the echo (ably-chat.md, 3.8).
    occupancy: Vec<Heard>,
    end: Option<End>,
}

impl Outbox {
    /// Adds to the queue, or ends the transport if that is full.
    pub fn push(&self, tell: Tell) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        let size = tell.size();
        if state.ordered.len() >= MOST || state.bytes + size > MOST_BYTES {
            drop(state);
            return self.end(End::Overflow);
        }
        state.bytes += size;
        state.ordered.push_back(tell);
        drop(state);
        self.filled.notify_one();
    }

    /// Puts an update in the place of an older one of the same room.
    pub fn push_occupancy(&self, heard: Heard) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        match state.occupancy.iter_mut().find(|waiting| waiting.told.channel == heard.told.channel) {
            Some(waiting) => *waiting = heard,
            None => state.occupancy.push(heard),
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Forgets an update of a channel, by its own name, that the client left.
    pub fn forget_occupancy(&self, channel: &str) {
        self.lock().occupancy.retain(|waiting| *waiting.told.channel != *channel);
    }

    /// True if so much more would leave the queue no more than half full.
    pub fn has_room_for(&self, tells: usize, bytes: usize) -> bool {
        let state = self.lock();
        state.ordered.len() + tells <= MOST / 2 && state.bytes + bytes <= MOST_BYTES / 2
    }

    /// Ends the transport; what is not written yet never is.
    pub fn end(&self, why: End) {
        let mut state = self.lock();
        if state.end.is_none() {
            *state = State { end: Some(why), ..State::default() };
        }
        drop(state);
        self.filled.notify_one();
        self.ended.notify_one();
    }

    /// What to write next, as soon as there is something. Occupancy comes when nothing else waits.
    pub async fn next(&self) -> Batch {
        loop {
            if let Some(batch) = self.take() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    /// Waits until the transport has to end.
    pub async fn ended(&self) -> End {
        loop {
            let end = self.lock().end;
            match end {
                Some(why) => return why,
                None => self.ended.notified().await,
            }
        }
    }

    fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        if let Some(why) = state.end {
            return Some(Batch::End(why));
        }
        if !state.ordered.is_empty() {
            state.bytes = 0;
            return Some(Batch::Ordered(mem::take(&mut state.ordered)));
        }
        (!state.occupancy.is_empty()).then(|| Batch::Occupancy(mem::take(&mut state.occupancy)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_is_parted_from_and_its_queue_let_go() {
        let outbox = Outbox::default();
        for _ in 0..=MOST {
            outbox.push(Tell::Own(Bytes::from_static(b"x")));
        }

        assert!(matches!(outbox.next().await, Batch::End(End::Overflow)));
        assert!(outbox.lock().ordered.is_empty());
    }

    #[tokio::test]
    async fn bytes_are_bounded_as_well() {
        let outbox = Outbox::default();
        let frame = Bytes::from(vec![0; MOST_BYTES / 4]);
        for _ in 0..5 {
            outbox.push(Tell::Own(frame.clone()));
        }

        assert!(matches!(outbox.next().await, Batch::End(End::Overflow)));
    }

    #[tokio::test]
    async fn the_first_reason_to_end_stays() {
        let outbox = Outbox::default();
        outbox.end(End::Superseded);
        outbox.end(End::Stopping);

        assert_eq!(outbox.ended().await, End::Superseded);
        assert!(matches!(outbox.next().await, Batch::End(End::Superseded)));
    }
}
