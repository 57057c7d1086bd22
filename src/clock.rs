//! The one place that knows the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

/// Tells the time in whole microseconds: the machine's and the database's, or those that a test moves.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Microseconds since 1970, of the service's clock and of the database's.
    Standing {
        service: Arc<AtomicI64>,
        database: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `at` until it is moved; its clones move with it.
    pub fn standing(at: DateTime<Utc>) -> Self {
        let clock = || Arc::new(AtomicI64::new(at.timestamp_micros()));
        Self(Source::Standing { service: clock(), database: clock() })
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "the clock is the one that may ask the machine")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System => Utc::now().trunc_subsecs(6),
            Source::Standing { service, .. } => time(service),
        }
    }

    /// The time of the database, given what its clock told.
    pub fn of_database(&self, told: DateTime<Utc>) -> DateTime<Utc> {
        match &self.0 {
            Source::System => told,
            Source::Standing { database, .. } => time(database),
        }
    }

    /// Moves a standing clock, and the database's with it; the machine's is left alone.
    pub fn advance(&self, by: TimeDelta) {
        self.advance_alone(by);
        self.advance_database(by);
    }

    /// Moves a standing clock, and not the database's.
    pub fn advance_alone(&self, by: TimeDelta) {
        if let Source::Standing { service, .. } = &self.0 {
            service.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
        }
    }

    /// Moves the database's clock beside a standing one.
    pub fn advance_database(&self, by: TimeDelta) {
        if let Source::Standing { database, .. } = &self.0 {
            database.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
        }
    }
}

fn time(micros: &AtomicI64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros.load(Ordering::SeqCst)).unwrap_or_default()
}
