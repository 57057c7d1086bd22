//! When to look at which channel again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::channel::Channel;

/// Channels by the time at which something is due there.
#[derive(Default)]
pub struct Schedule {
    due: Mutex<BinaryHeap<Reverse<Due>>>,
    sooner: Notify,
}

struct Due {
    at: Instant,
    channel: Arc<Channel>,
}

impl Schedule {
    /// Has `channel` looked at when it is `at`.
    pub fn add(&self, at: Instant, channel: Arc<Channel>) {
        let mut due = self.lock();
        let is_first = due.peek().is_none_or(|Reverse(first)| at < first.at);
        due.push(Reverse(Due { at, channel }));
        drop(due);
        if is_first {
            self.wake();
        }
    }

    /// The next channel whose time has come, and when that was.
    pub fn pop(&self, now: Instant) -> Option<(Instant, Arc<Channel>)> {
        let mut due = self.lock();
        if due.peek().is_none_or(|Reverse(first)| first.at > now) {
            return None;
        }
        due.pop().map(|Reverse(first)| (first.at, first.channel))
    }

    /// When the first one is due.
    pub fn first(&self) -> Option<Instant> {
        self.lock().peek().map(|Reverse(first)| first.at)
    }

    /// How many entries there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Has whoever waits look again what is due first.
    pub fn wake(&self) {
        self.sooner.notify_one();
    }

    /// Waits until something is due sooner than was known.
    pub async fn sooner(&self) {
        self.sooner.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Reverse<Due>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
