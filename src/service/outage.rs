//! Requests that fail because the database is not available, or are refused because too many come: counted for the log
//! (jobs::outages).

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ServiceError;
use crate::store::{Cause, Kind, StoreError};

/// Operations that failed because the database was not available. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Failures(Arc<Mutex<Latest>>);

#[derive(Debug, Default)]
struct Latest {
    counts: Counts,
    cause: Option<Cause>,
}

/// How many failed, by kind of cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub lock: u64,
    pub slow_statement: u64,
    pub no_connection: u64,
    /// Waited too long for their statement to begin.
    pub queue: u64,
    /// The database refused, and named the reason.
    pub refused: u64,
    pub other: u64,
}

impl Failures {
    /// Counts a failure.
    pub(super) fn add(&self, error: &ServiceError) {
        let cause = match error {
            ServiceError::Unavailable(Some(StoreError::Unavailable(cause))) => Some(cause),
            ServiceError::Unavailable(_) => None,
            _ => return,
        };
        let mut latest = self.lock();
        let counts = &mut latest.counts;
        let count = match cause.map(Cause::kind) {
            Some(Kind::Lock) => &mut counts.lock,
            Some(Kind::SlowStatement) => &mut counts.slow_statement,
            Some(Kind::NoConnection) => &mut counts.no_connection,
            Some(Kind::Queue) => &mut counts.queue,
            Some(Kind::Refused) => &mut counts.refused,
            None => &mut counts.other,
        };
        *count += 1;
        // What the others wait for says more than that they wait.
        if cause.is_some_and(|cause| cause.kind() != Kind::Queue || latest.cause.is_none()) {
            latest.cause = cause.cloned();
        }
    }

    /// The counts, which begin again at 0.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.lock().counts)
    }

    /// The cause of a recent failure, once.
    pub fn take_cause(&self) -> Option<Cause> {
        self.lock().cause.take()
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests that were refused because more came than could be answered in time. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<AtomicU64>);

impl Refusals {
    /// Counts a refusal.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The count, which begins again at 0.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Counts {
    /// The sum.
    pub fn all(&self) -> u64 {
        self.lock + self.slow_statement + self.no_connection + self.queue + self.refused + self.other
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.lock += more.lock;
        self.slow_statement += more.slow_statement;
        self.no_connection += more.no_connection;
        self.queue += more.queue;
        self.refused += more.refused;
        self.other += more.other;
    }
}
