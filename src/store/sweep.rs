//! What the statements share that delete what is over, a batch at a time.
//!
//! Both take the rows by the index over their ends, and delete them by their primary key. That the number of a batch
//! stands in them as it is, and the end that the search begins at beside the one where it stops, lets Postgres plan for
//! few rows also when it plans once for all values: else it reads the whole table for each batch.

use chrono::{DateTime, Utc};

/// So many rows are deleted at once: few, so that requests share the machine with it for milliseconds only. Both
/// statements have it as a number.
pub const BATCH: u32 = 100;

/// What was deleted, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    pub count: u64,
    /// The end of the one that has been over the longest.
    pub oldest_end: Option<DateTime<Utc>>,
}

impl Deleted {
    pub(super) fn new(count: i64, oldest_end: Option<DateTime<Utc>>) -> Self {
        Self { count: count.unsigned_abs(), oldest_end }
    }
}
