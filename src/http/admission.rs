//! Which requests are handled when more come than the service can answer in time, and which are refused before anything
//! is done for them (docs/limits.md, "Overload").

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::service::outage::Refusals;

/// The requests of the node that are being handled, and the most that may be.
#[derive(Debug, Clone)]
pub struct InFlight {
    count: Arc<AtomicUsize>,
    most: usize,
    refused: Refusals,
}

/// A request that is being handled.
#[derive(Debug)]
pub struct Admitted(InFlight);

impl InFlight {
    /// At most `most` requests. Those that are not admitted count as `refused`.
    pub fn new(most: usize, refused: Refusals) -> Self {
        Self { count: Arc::default(), most, refused }
    }

    /// Admits a request unless the node handles as many as it may, or `is_overloaded` says that what the request needs is.
    pub fn admit(&self, is_overloaded: impl FnOnce() -> bool) -> Option<Admitted> {
        let admitted = Admitted(self.clone()); // which gives the place back when it is dropped
        if self.count.fetch_add(1, Ordering::Relaxed) < self.most && !is_overloaded() {
            return Some(admitted);
        }
        self.refused.add();
        None
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
        let refused = Refusals::default();
        let in_flight = InFlight::new(2, refused.clone());
        let first = in_flight.admit(|| false);
        let _second = in_flight.admit(|| false);
        assert!(first.is_some() && in_flight.admit(|| false).is_none());

        drop(first);
        assert!(in_flight.admit(|| true).is_none(), "what it needs is overloaded");
        assert!(in_flight.admit(|| false).is_some());
        assert_eq!(refused.take(), 2);
    }
}
