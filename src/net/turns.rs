//! Fairness between the connections of a thread: those that move many bytes, or send many requests at once, take turns,
//! so that they do not keep the others waiting.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{spawn_local, yield_now};
use tokio::time::Instant;

/// How many bytes a connection moves in each `WINDOW` before it takes turns, and with each turn.
const BYTES: usize = 64 * 1024;
const WINDOW: Duration = Duration::from_millis(10);
/// How many pipelined requests are handled at once: a few, which share a statement.
const PIPELINED: usize = 4;

/// The turns of one thread; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Turns(Rc<Queue>);

#[derive(Debug)]
struct Queue {
    /// Connections that wait for a turn.
    waiting: RefCell<VecDeque<Rc<Place>>>,
    /// A connection has its turn; the next has its own once all other tasks that are ready have run.
    is_taken: Cell<bool>,
    /// Held while a request is handled of whose connection more requests have arrived.
    pipelined: Semaphore,
}

impl Default for Queue {
    fn default() -> Self {
        Self { waiting: RefCell::default(), is_taken: Cell::new(false), pipelined: Semaphore::new(PIPELINED) }
    }
}

/// A connection's place in the queue.
#[derive(Debug, Default)]
struct Place {
    state: Cell<State>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Away,
    Waiting,
    Granted,
}

impl Turns {
    /// Waits until few other pipelined requests are being handled.
    pub async fn pipelined(&self) -> Option<SemaphorePermit<'_>> {
        self.0.pipelined.acquire().await.ok() // it is never closed
    }

    fn poll(&self, place: &Rc<Place>, cx: &Context<'_>) -> Poll<()> {
        match place.state.get() {
            State::Granted => {
                place.state.set(State::Away);
                return Poll::Ready(());
            }
            State::Away if !self.0.is_taken.get() => {
                self.take();
                return Poll::Ready(());
            }
            State::Away => {
                place.state.set(State::Waiting);
                self.0.waiting.borrow_mut().push_back(Rc::clone(place));
            }
            State::Waiting => {}
        }
        *place.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Begins a turn. The next one begins when all other tasks have run and the sockets were looked at.
    fn take(&self) {
        self.0.is_taken.set(true);
        let turns = self.clone();
        spawn_local(async move {
            yield_now().await;
            turns.grant();
        });
    }

    fn grant(&self) {
        let next = self.0.waiting.borrow_mut().pop_front();
        let Some(place) = next else { return self.0.is_taken.set(false) };
        place.state.set(State::Granted);
        if let Some(waker) = place.waker.take() {
            waker.wake();
        }
        self.take();
    }
}

/// Counts the bytes that a connection moves.
#[derive(Debug)]
pub struct Pace {
    turns: Turns,
    place: Rc<Place>,
    since: Cell<Instant>,
    moved: Cell<usize>,
}

impl Pace {
    /// Of a connection that moved nothing yet.
    pub fn new(turns: Turns) -> Self {
        Self { turns, place: Rc::default(), since: Cell::new(Instant::now()), moved: Cell::new(0) }
    }

    /// The turns of the connection's thread.
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// How many bytes may be moved now; pending while it is another connection's turn.
    pub fn poll_allowance(&self, cx: &Context<'_>) -> Poll<usize> {
        if self.moved.get() < BYTES {
            return Poll::Ready(BYTES - self.moved.get());
        }
        let now = Instant::now();
        if self.place.state.get() == State::Away && now.duration_since(self.since.get()) >= WINDOW {
            self.since.set(now);
        } else {
            std::task::ready!(self.turns.poll(&self.place, cx));
        }
        self.moved.set(0);
        Poll::Ready(BYTES)
    }

    /// Counts bytes that were moved.
    pub fn moved(&self, bytes: usize) {
        self.moved.set(self.moved.get().saturating_add(bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::LocalSet;

    use super::*;

    async fn moves(pace: &Pace, pieces: usize, log: &RefCell<Vec<char>>, name: char) {
        for _ in 0..pieces {
            let allowance = poll_fn(|cx| pace.poll_allowance(cx)).await;
            pace.moved(allowance);
            log.borrow_mut().push(name);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_move_much_take_turns_and_others_run_between() {
        let (turns, log) = (Turns::default(), RefCell::<Vec<char>>::default());
        let [first, second] = [(); 2].map(|()| Pace::new(turns.clone()));
        let other = async {
            for _ in 0..4 {
                log.borrow_mut().push('o');
                yield_now().await;
            }
        };
        LocalSet::new()
            .run_until(async { tokio::join!(moves(&first, 4, &log, 'a'), moves(&second, 4, &log, 'b'), other) })
            .await;

        let order: String = log.borrow().iter().collect();
        assert_eq!(order.matches(['a', 'b']).count(), 8, "{order}");
        assert!(!order.contains("aaa") && !order.contains("bbb"), "{order}");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_window_bytes_are_free_again() {
        let (turns, log) = (Turns::default(), RefCell::<Vec<char>>::default());
        let (pace, crowd) = (Pace::new(turns.clone()), Pace::new(turns));
        LocalSet::new()
            .run_until(async {
                moves(&pace, 1, &log, 'a').await;
                moves(&crowd, 2, &log, 'b').await;
                tokio::time::advance(WINDOW).await;
                assert!(poll_fn(|cx| Poll::Ready(pace.poll_allowance(cx))).await.is_ready());
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_gone_keeps_no_turn() {
        let turns = Turns::default();
        let [first, second, third] = [(); 3].map(|()| Pace::new(turns.clone()));
        let log = RefCell::<Vec<char>>::default();
        LocalSet::new()
            .run_until(async {
                moves(&first, 2, &log, 'a').await; // has the turn
                second.moved(BYTES);
                assert!(poll_fn(|cx| Poll::Ready(second.poll_allowance(cx))).await.is_pending());
                drop(second);
                moves(&third, 2, &log, 'c').await;
            })
            .await;

        assert_eq!(log.take(), ['a', 'a', 'c', 'c']);
    }
}
