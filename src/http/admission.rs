//! Which requests are handled when more come than the service can answer in time, and which are refused before anything
//! is done for them (docs/limits.md, "Overload").

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, interval};

/// How often it is looked whether requests were refused, how long it is told so again, and how many times none are until
/// it is over.
const LOOK: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(60);
const QUIET: u32 = 10;

/// The requests of the node that are being handled, and the most that may be.
#[derive(Debug, Clone)]
pub struct InFlight {
    count: Arc<AtomicUsize>,
    most: usize,
    refused: Arc<AtomicU64>,
}

/// A request that is being handled.
#[derive(Debug)]
pub struct Admitted(InFlight);

impl InFlight {
    /// At most `most` requests.
    pub fn new(most: usize) -> Self {
        Self { count: Arc::default(), most, refused: Arc::default() }
    }

    /// Admits a request unless the node handles as many as it may, or `is_overloaded` says that what the request needs is.
    pub fn admit(&self, is_overloaded: impl FnOnce() -> bool) -> Option<Admitted> {
        let admitted = Admitted(self.clone()); // which gives the place back when it is dropped
        if self.count.fetch_add(1, Ordering::Relaxed) < self.most && !is_overloaded() {
            return Some(admitted);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Logs when requests begin to be refused, how many are in each minute, and when no more are.
    pub async fn tell(&self) {
        let mut look = interval(LOOK);
        loop {
            look.tick().await;
            let refused = self.refused.swap(0, Ordering::Relaxed);
            if refused > 0 {
                self.tell_until_it_is_over(refused).await;
            }
        }
    }

    async fn tell_until_it_is_over(&self, first: u64) {
        tracing::warn!(refused = first, "requests are refused: more come than can be answered in time");
        let (mut look, began) = (interval(LOOK), Instant::now());
        let (mut all, mut told, mut quiet, mut minute) = (first, first, 0, began);
        while quiet < QUIET {
            look.tick().await;
            let refused = self.refused.swap(0, Ordering::Relaxed);
            all += refused;
            quiet = if refused > 0 { 0 } else { quiet + 1 };
            if minute.elapsed() >= AGAIN {
                tracing::warn!(refused = all - told, "requests are refused: more come than can be answered in time");
                (told, minute) = (all, Instant::now());
            }
        }
        tracing::info!(refused = all, seconds = began.elapsed().as_secs(), "no requests are refused any more");
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_handles_so_many_requests_at_once() {
        let in_flight = InFlight::new(2);
        let first = in_flight.admit(|| false);
        let _second = in_flight.admit(|| false);
        assert!(first.is_some() && in_flight.admit(|| false).is_none());

        drop(first);
        assert!(in_flight.admit(|| true).is_none(), "what it needs is overloaded");
        assert!(in_flight.admit(|| false).is_some());
        assert_eq!(in_flight.refused.load(Ordering::Relaxed), 2);
    }
}
