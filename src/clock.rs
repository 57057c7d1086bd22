//! The one place that knows the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

/// Tells the time in whole microseconds: the machine's, or one that a test moves.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Microseconds since 1970.
    Standing(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `at` until it is moved; its clones move with it.
    pub fn standing(at: DateTime<Utc>) -> Self {
        Self(Source::Standing(Arc::new(AtomicI64::new(at.timestamp_micros()))))
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "the clock is the one that may ask the machine")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System => Utc::now().trunc_subsecs(6),
            Source::Standing(micros) => {
                DateTime::from_timestamp_micros(micros.load(Ordering::SeqCst)).unwrap_or_default()
            }
        }
    }

    /// Moves a standing clock; the machine's is left alone.
    pub fn advance(&self, by: TimeDelta) {
        if let Source::Standing(micros) = &self.0 {
            micros.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
        }
    }
}
