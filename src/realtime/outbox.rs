//! What one client is still to be told: in order, and bounded.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::event::{Event, Heard};
use crate::budget::Share;

/// The most that waits for a client, what is being written included. One that reads slower is disconnected; it resumes,
/// and is told from the room's own memory what it missed.
const MOST: usize = 5_000;
const MOST_BYTES: usize = 1024 * 1024;
/// The most of snapshots of members besides: one of a room that is full of data has to fit.
const MOST_SNAPSHOT_BYTES: usize = 3 * 1024 * 1024;
/// The most of its own answers that wait for a client before no further request of it is read.
const MOST_OWN_BYTES: usize = 64 * 1024;
/// The memory of an event in each queue, besides the event itself, which all queues share.
const ENTRY: usize = size_of::<Tell>();

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

    /// What counts as held by this queue alone: a snapshot, too, as its members may have left since.
    fn own_size(&self) -> usize {
        ENTRY
            + match self {
                Self::Shared(heard) if self.is_snapshot() => heard.told.size(),
                Self::Shared(_) => 0,
                Self::Own(frame) => frame.len(),
            }
    }

    fn is_snapshot(&self) -> bool {
        matches!(self, Self::Shared(heard) if matches!(heard.told.event, Event::Sync { .. }))
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
#[derive(Debug)]
pub struct Outbox {
    state: Mutex<State>,
    filled: Notify,
    ended: Notify,
    /// Of what all queues of the node hold.
    share: Share,
}

/// Bytes in a queue.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    /// Of all but snapshots.
    events: usize,
    snapshots: usize,
    /// Of these, what counts as this queue's alone.
    own: usize,
}

#[derive(Debug, Default)]
struct State {
    ordered: VecDeque<Tell>,
    /// What waits and what is being written, and of that what is being written.
    held: Held,
    taken: Held,
    /// Apart: an update between a client's own echo and its ACK makes the SDK lose the echo (ably-chat.md, 3.8).
    occupancy: Vec<Heard>,
    end: Option<End>,
}

impl Held {
    fn with(self, tell: &Tell) -> Self {
        let (size, own) = (tell.size(), self.own + tell.own_size());
        if tell.is_snapshot() {
            Self { snapshots: self.snapshots + size, own, ..self }
        } else {
            Self { events: self.events + size, own, ..self }
        }
    }

    fn without(self, other: Self) -> Self {
        Self {
            events: self.events.saturating_sub(other.events),
            snapshots: self.snapshots.saturating_sub(other.snapshots),
            own: self.own.saturating_sub(other.own),
        }
    }

    fn all(self) -> usize {
        self.events + self.snapshots
    }
}

impl Outbox {
    /// An empty queue; what it holds counts for `share`.
    pub fn new(share: Share) -> Self {
        Self { state: Mutex::default(), filled: Notify::new(), ended: Notify::new(), share }
    }

    /// Adds to the queue, or ends the transport if that is full.
    pub fn push(&self, tell: Tell) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        let held = state.held.with(&tell);
        if state.ordered.len() >= MOST || held.events > MOST_BYTES || held.snapshots > MOST_SNAPSHOT_BYTES {
            drop(state);
            return self.end(End::Overflow);
        }
        state.held = held;
        state.ordered.push_back(tell);
        self.share.set(held.all(), held.own);
        drop(state);
        self.filled.notify_one();
    }

    /// Marks the batch that was taken last as written.
    pub fn written(&self) {
        let mut state = self.lock();
        let written = mem::take(&mut state.taken);
        state.held = state.held.without(written);
        self.share.set(state.held.all(), state.held.own);
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

    /// True if so much more would leave a quarter of the queue free.
    pub fn has_room_for(&self, tells: usize, bytes: usize) -> bool {
        let state = self.lock();
        state.ordered.len() + tells <= MOST / 4 * 3 && state.held.events + bytes <= MOST_BYTES / 4 * 3
    }

    /// True while so much of what the client asked for waits for it that it should not ask for more.
    pub fn is_behind(&self) -> bool {
        self.lock().held.own > MOST_OWN_BYTES
    }

    /// Ends the transport; what is not written yet never is.
    pub fn end(&self, why: End) {
        let mut state = self.lock();
        if state.end.is_none() {
            *state = State { end: Some(why), ..State::default() };
            self.share.set(0, 0);
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
            if let Some(why) = end {
                return why;
            }
            tokio::select! {
                () = self.ended.notified() => {}
                () = self.share.told_to_go() => self.end(End::Overflow),
            }
        }
    }

    fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        if let Some(why) = state.end {
            return Some(Batch::End(why));
        }
        if !state.ordered.is_empty() {
            state.taken = state.held;
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
    use crate::budget::Budget;

    fn outbox() -> Outbox {
        Outbox::new(Budget::new(usize::MAX).share())
    }

    #[tokio::test]
    async fn what_is_being_written_counts_until_it_is() {
        let outbox = outbox();
        let half = Tell::Own(Bytes::from(vec![0; MOST_BYTES / 2]));
        outbox.push(half.clone());
        assert!(matches!(outbox.next().await, Batch::Ordered(_)));
        outbox.push(half.clone());
        outbox.written();
        outbox.push(half.clone());
        assert!(matches!(outbox.next().await, Batch::Ordered(_)));

        outbox.push(half);
        assert!(matches!(outbox.next().await, Batch::End(End::Overflow)));
    }

    #[tokio::test]
    async fn the_fullest_queue_of_a_node_ends_when_all_together_hold_too_much() {
        let node = Budget::new(1_000);
        let (full, fresh) = (Outbox::new(node.share()), Outbox::new(node.share()));
        full.push(Tell::Own(Bytes::from(vec![0; 800])));
        fresh.push(Tell::Own(Bytes::from(vec![0; 300])));

        assert_eq!(full.ended().await, End::Overflow);
        assert!(matches!(fresh.next().await, Batch::Ordered(_)));
        assert!(node.used() < 1_000);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_parted_from_and_its_queue_let_go() {
        let outbox = outbox();
        for _ in 0..=MOST {
            outbox.push(Tell::Own(Bytes::from_static(b"x")));
        }

        assert!(matches!(outbox.next().await, Batch::End(End::Overflow)));
        assert!(outbox.lock().ordered.is_empty());
    }

    #[tokio::test]
    async fn a_client_is_behind_until_its_own_answers_are_written_and_not_for_what_others_say() {
        let outbox = outbox();
        outbox.push(Tell::Own(Bytes::from(vec![0; MOST_OWN_BYTES])));
        assert!(outbox.is_behind());
        assert!(matches!(outbox.next().await, Batch::Ordered(_)));
        assert!(outbox.is_behind(), "it is not written yet");

        outbox.written();
        assert!(!outbox.is_behind());
        outbox.push(Tell::Own(Bytes::from_static(b"an ACK")));
        assert!(!outbox.is_behind());
    }

    #[tokio::test]
    async fn bytes_are_bounded_as_well() {
        let outbox = outbox();
        let frame = Bytes::from(vec![0; MOST_BYTES / 4]);
        for _ in 0..5 {
            outbox.push(Tell::Own(frame.clone()));
        }

        assert!(matches!(outbox.next().await, Batch::End(End::Overflow)));
    }

    #[tokio::test]
    async fn the_first_reason_to_end_stays() {
        let outbox = outbox();
        outbox.end(End::Superseded);
        outbox.end(End::Stopping);

        assert_eq!(outbox.ended().await, End::Superseded);
        assert!(matches!(outbox.next().await, Batch::End(End::Superseded)));
    }
}
