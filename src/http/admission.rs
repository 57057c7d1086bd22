//! Which requests are handled when more come than the service can answer in time, and which are refused before anything
//! is done for them (docs/limits.md, "Overload").

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, interval};

/// With fewer requests in flight on a thread, it is not looked how long others wait for it.
const FEW: usize = 32;
/// A thread is busy for this long before a new task runs: when it has been so for [`STANDING`], and never less, it has
/// more to do than it can.
const CALM: Duration = Duration::from_millis(2);
const STANDING: Duration = Duration::from_millis(100);
/// Then requests are admitted while a new task waits for less than this.
const TARGET: Duration = Duration::from_millis(5);

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

/// Admits the requests of one thread.
#[derive(Debug)]
pub struct Admission {
    node: InFlight,
    thread: Cell<usize>,
    lag: Rc<Lag>,
}

/// A request that is being handled.
#[derive(Debug)]
pub struct Admitted(Rc<Admission>);

/// How long a task that is ready waits until it runs, behind all others that are.
#[derive(Debug)]
struct Lag {
    /// A task waits to find out since then.
    probe: Cell<Option<Instant>>,
    last: Cell<Duration>,
    seen: Cell<Instant>,
    /// When the thread was last seen with little to do.
    calm: Cell<Instant>,
}

impl InFlight {
    /// At most `most` requests.
    pub fn new(most: usize) -> Self {
        Self { count: Arc::default(), most, refused: Arc::default() }
    }

    fn begin(&self) -> bool {
        let has_place = self.count.fetch_add(1, Ordering::Relaxed) < self.most;
        if !has_place {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        has_place
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

impl Admission {
    /// Of a thread of the node.
    pub fn new(node: InFlight) -> Rc<Self> {
        Rc::new(Self { node, thread: Cell::new(0), lag: Rc::new(Lag::new(Instant::now())) })
    }

    /// Admits a request unless the node handles as many as it may, the thread has more to do than it can, or
    /// `is_overloaded` says that what the request needs is.
    pub fn admit(self: &Rc<Self>, is_overloaded: impl FnOnce() -> bool) -> Option<Admitted> {
        let is_busy = self.thread.get() >= FEW && self.lag.is_too_long();
        if is_busy || is_overloaded() || !self.node.begin() {
            self.node.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.thread.set(self.thread.get() + 1);
        Some(Admitted(Rc::clone(self)))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.node.count.fetch_sub(1, Ordering::Relaxed);
        self.0.thread.set(self.0.thread.get() - 1);
    }
}

impl Lag {
    fn new(now: Instant) -> Self {
        Self { probe: Cell::default(), last: Cell::default(), seen: Cell::new(now), calm: Cell::new(now) }
    }

    fn is_too_long(self: &Rc<Self>) -> bool {
        let now = Instant::now();
        let waits = match self.probe.get() {
            Some(since) => now.duration_since(since),
            None => {
                self.look(now);
                Duration::ZERO
            }
        };
        self.last.get().max(waits) >= TARGET && now.duration_since(self.calm.get()) >= STANDING
    }

    /// Begins to wait behind all tasks that are ready.
    fn look(self: &Rc<Self>, now: Instant) {
        if now.duration_since(self.seen.get()) >= STANDING {
            self.calm.set(now); // there was so little to do that nobody looked
        }
        self.probe.set(Some(now));
        let lag = Rc::clone(self);
        spawn_local(async move {
            yield_now().await; // all tasks that are ready run, and the sockets are looked at
            lag.saw(Instant::now());
        });
    }

    fn saw(&self, now: Instant) {
        let Some(since) = self.probe.take() else { return };
        self.last.set(now.duration_since(since));
        self.seen.set(now);
        if self.last.get() <= CALM {
            self.calm.set(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    fn admission(most: usize) -> Rc<Admission> {
        Admission::new(InFlight::new(most))
    }

    #[test]
    fn a_node_handles_so_many_requests_at_once() {
        let admission = admission(2);
        let first = admission.admit(|| false);
        let _second = admission.admit(|| false);
        assert!(first.is_some() && admission.admit(|| false).is_none());

        drop(first);
        assert!(admission.admit(|| true).is_none(), "what it needs is overloaded");
        assert!(admission.admit(|| false).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_with_more_to_do_than_it_can_refuses_until_tasks_run_soon_again() {
        let admission = admission(usize::MAX);
        let _few: Vec<_> = (0..FEW).map(|_| admission.admit(|| false)).collect();
        // Each pass of the thread takes so long, and at its end requests come.
        let pass = async |time| {
            let admitted = admission.admit(|| false).is_some();
            tokio::time::advance(time).await;
            yield_now().await;
            yield_now().await;
            admitted
        };
        LocalSet::new()
            .run_until(async {
                let slow = TARGET * 2;
                let mut passes = 0;
                while pass(slow).await {
                    passes += 1;
                }
                assert_eq!(passes, STANDING.as_millis() / slow.as_millis(), "a burst is served");
                assert!(!pass(slow).await);
                assert!(!pass(CALM).await);
                assert!(pass(CALM).await);
            })
            .await;
    }
}
