//! A bound on memory that many hold together: beyond it, the largest holder has to go, and never the newest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// Bytes that all shares hold together at most; clones share them.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    used: AtomicUsize,
    /// Bytes of the holders that were told to go.
    leaving: AtomicUsize,
    number: AtomicU64,
    holders: Mutex<HashMap<u64, Arc<Holder>>>,
}

#[derive(Debug, Default)]
struct Holder {
    /// All that it holds, by which it is ranked; and how much of it counts here, as nobody else holds it.
    bytes: AtomicUsize,
    own: AtomicUsize,
    has_to_go: AtomicBool,
    told: Notify,
    waker: AtomicWaker,
}

/// The bytes of one holder, given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    number: u64,
    holder: Arc<Holder>,
}

/// Bytes that count for a budget and are no holder's own: several may hold them. Given back when this is dropped.
#[derive(Debug)]
pub struct Shared {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(max: usize) -> Self {
        let (used, leaving, number) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { max, used, leaving, number, holders: Mutex::default() }))
    }

    /// A new holder, of nothing so far.
    pub fn share(&self) -> Share {
        let (number, holder) = (self.0.number.fetch_add(1, Ordering::Relaxed), Arc::<Holder>::default());
        self.holders().insert(number, Arc::clone(&holder));
        Share { budget: self.clone(), number, holder }
    }

    /// Counts bytes that several may hold.
    pub fn shared(&self, bytes: usize) -> Shared {
        let mut shared = Shared { budget: self.clone(), bytes: 0 };
        shared.grow(bytes);
        shared
    }

    /// Bytes that are held now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    fn is_exceeded(&self) -> bool {
        self.used().saturating_sub(self.0.leaving.load(Ordering::Relaxed)) > self.0.max
    }

    /// Tells the largest holders to go until the rest keep within the budget.
    fn shed(&self) {
        let holders = self.holders();
        let size = |holder: &Holder| holder.bytes.load(Ordering::Relaxed);
        while self.is_exceeded() {
            let staying = holders.values().filter(|holder| !holder.has_to_go.load(Ordering::Relaxed));
            let Some(largest) = staying.max_by_key(|holder| size(holder)).filter(|holder| size(holder) > 0) else {
                return;
            };
            largest.has_to_go.store(true, Ordering::SeqCst);
            self.0.leaving.fetch_add(size(largest), Ordering::Relaxed);
            largest.told.notify_one();
            largest.waker.wake();
        }
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<u64, Arc<Holder>>> {
        self.0.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Holds so many bytes from now on, `own` of which nobody else holds. Somebody, maybe this one, is told to go if all
    /// hold too much together.
    pub fn set(&self, bytes: usize, own: usize) {
        let budget = &self.budget.0;
        let before = self.holder.bytes.swap(bytes, Ordering::Relaxed);
        if self.has_to_go() && bytes < before {
            let less = |leaving: usize| Some(leaving.saturating_sub(before - bytes));
            let _ = budget.leaving.try_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        let before = self.holder.own.swap(own, Ordering::Relaxed);
        if own < before {
            budget.used.fetch_sub(before - own, Ordering::Relaxed);
        } else if own > before {
            budget.used.fetch_add(own - before, Ordering::Relaxed);
            if self.budget.is_exceeded() {
                self.budget.shed();
            }
        }
    }

    /// True if the holder has to let go of everything.
    pub fn has_to_go(&self) -> bool {
        self.holder.has_to_go.load(Ordering::SeqCst)
    }

    /// Has a task woken when the holder has to go.
    pub fn register(&self, waker: &Waker) {
        self.holder.waker.register(waker);
    }

    /// Waits until the holder has to go.
    pub async fn told_to_go(&self) {
        while !self.has_to_go() {
            self.holder.told.notified().await;
        }
    }
}

impl Shared {
    /// Counts so many bytes more.
    pub fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.budget.0.used.fetch_add(bytes, Ordering::Relaxed);
        if self.budget.is_exceeded() {
            self.budget.shed();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0, 0);
        self.budget.holders().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_goes_first_and_the_newest_stays() {
        let budget = Budget::new(100);
        let shares: Vec<Share> = [30, 50, 20].map(|_| budget.share()).into();
        shares.iter().zip([30, 50, 20]).for_each(|(share, bytes)| share.set(bytes, bytes));
        assert!(shares.iter().all(|share| !share.has_to_go()));
        let newest = budget.share();
        newest.set(10, 10);

        let go: Vec<bool> = shares.iter().chain([&newest]).map(Share::has_to_go).collect();
        assert_eq!(go, [false, true, false, false]);
    }

    #[test]
    fn nobody_else_goes_while_one_is_on_its_way_out() {
        let budget = Budget::new(100);
        let (large, small) = (budget.share(), budget.share());
        large.set(90, 90);
        small.set(40, 40);
        small.set(80, 80);

        assert_eq!((large.has_to_go(), small.has_to_go()), (true, false));
        drop(large);
        assert_eq!(budget.used(), 80);
        small.set(110, 110);
        assert!(small.has_to_go());
    }

    #[test]
    fn what_several_hold_counts_once_and_the_fullest_of_them_goes() {
        let budget = Budget::new(100);
        let (slow, quick) = (budget.share(), budget.share());
        let event = budget.shared(60);
        slow.set(60, 1);
        quick.set(60, 1);
        quick.set(0, 0);
        assert_eq!(budget.used(), 61);
        let _more = budget.shared(60);

        assert_eq!((slow.has_to_go(), quick.has_to_go()), (true, false));
        drop(event);
        assert_eq!(budget.used(), 61);
    }

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = Budget::new(100);
        for _ in 0..1_000 {
            let share = budget.share();
            share.set(90, 90);
        }

        assert_eq!(budget.used(), 0);
        let share = budget.share();
        share.set(100, 100);
        assert!(!share.has_to_go());
    }
}
