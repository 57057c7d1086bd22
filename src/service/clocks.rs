//! The clock of this machine beside that of the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Context, ServiceError};
use crate::store;

/// Beyond it nothing is deleted.
pub const MOST_SKEW: TimeDelta = TimeDelta::seconds(60);

/// By how much the database's clock was ahead when it was looked at last. Clones share it.
#[derive(Debug, Clone)]
pub struct Skew(Arc<AtomicI64>);

/// In place of a number of milliseconds while there is none.
const UNKNOWN: i64 = i64::MIN;

impl Default for Skew {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }
}

impl Skew {
    /// In milliseconds; `None` until it was measured.
    pub fn millis(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|millis| *millis != UNKNOWN)
    }
}

/// What both clocks say at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Both {
    pub service: DateTime<Utc>,
    pub database: DateTime<Utc>,
}

impl Both {
    /// By how much the database's clock is ahead.
    pub fn skew(&self) -> TimeDelta {
        self.database - self.service
    }

    /// The time that both clocks say is reached; `None` if they differ so much that one of them is wrong.
    pub fn agreed(&self) -> Option<DateTime<Utc>> {
        (self.skew().abs() <= MOST_SKEW).then_some(self.service.min(self.database))
    }
}

/// Reads both clocks.
pub async fn read(ctx: &Context) -> Result<Both, ServiceError> {
    let before = ctx.clock.now();
    let told = ctx.run(async |conn| store::clock::now(conn).await).await?;
    let after = ctx.clock.now();
    // The answer took its way; the clock was read about halfway.
    let both = Both { service: before + (after - before) / 2, database: ctx.clock.of_database(told) };
    ctx.skew.0.store(both.skew().num_milliseconds(), Ordering::Relaxed);
    Ok(both)
}
