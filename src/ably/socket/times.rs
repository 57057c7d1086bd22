//! Deadlines of a socket: ping, silence, token renewal, token expiry.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use super::{PINGED, RENEW_BEFORE};

/// When what has to be done next without a frame from the client or for it.
pub struct Times {
    /// The longest that the client may be silent, half of it.
    idle: Duration,
    pub heard: Instant,
    pub wrote: Instant,
    pub pinged: Instant,
    pub renew: Option<Instant>,
    pub expires: Option<Instant>,
}

impl Times {
    pub fn new(idle: Duration, expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let start = Instant::now();
        let idle = idle.min(PINGED);
        let mut times = Self { idle, heard: start, wrote: start, pinged: start, renew: None, expires: None };
        times.expire(expires_at, now);
        times
    }

    pub fn expire(&mut self, expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let left = expires_at.map(|at| (at - now).to_std().unwrap_or_default());
        let start = Instant::now();
        // Of a short life the last third is for the renewal. A time too far to count to never comes.
        self.renew = left.and_then(|left| start.checked_add(left - RENEW_BEFORE.min(left / 3)));
        self.expires = left.and_then(|left| start.checked_add(left));
    }

    /// When the next ping is due: whatever else is sent, as nothing else makes a client that only listens answer.
    pub fn ping(&self) -> Instant {
        self.pinged + self.idle.mul_f64(0.8)
    }

    /// When the client was silent for so long that it is taken for gone.
    pub fn silent(&self) -> Instant {
        self.heard + self.patience()
    }

    /// How long a client may say nothing, or take nothing.
    pub fn patience(&self) -> Duration {
        2 * self.idle
    }

    pub async fn expired(&self) {
        match self.expires {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    pub fn next(&self) -> Instant {
        let token = self.renew.into_iter().chain(self.expires);
        token.chain([self.ping(), self.silent()]).min().unwrap_or(self.heard)
    }
}
