//! Runs what serves a connection until it is done, misses a deadline, has to make room, or the service stops.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Connection;

/// Serves a connection under its deadlines. The future is dropped, and with it the socket, as soon as it has to end.
pub struct Supervised<F> {
    serving: Pin<Box<F>>,
    connection: Rc<Connection>,
    stopping: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Supervised<F> {
    /// Supervises `serving`. When `stop` is cancelled, a request that is being handled is still answered.
    pub fn new(serving: F, connection: Rc<Connection>, stop: CancellationToken) -> Self {
        let stopping = Some(Box::pin(stop.cancelled_owned()));
        Self { serving: Box::pin(serving), connection, stopping, timer: None }
    }

    /// True when the connection's deadline is over; if not, the task is woken then.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let Some(deadline) = self.connection.deadline() else {
                self.timer = None;
                return false;
            };
            if deadline <= Instant::now() {
                return true;
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            // One that is set too early is looked at again then, which is cheaper than to set it for each request.
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return false;
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl<F: Future> Future for Supervised<F> {
    /// `None` if it had to end.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(done) = this.serving.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if this.connection.has_to_go(cx.waker()) || this.is_over(cx) {
            this.connection.miss_deadline();
            return Poll::Ready(None);
        }
        if this.stopping.as_mut().is_some_and(|stopping| stopping.as_mut().poll(cx).is_ready()) {
            this.stopping = None;
        }
        let has_stopped = this.stopping.is_none();
        if has_stopped && this.connection.is_idle() { Poll::Ready(None) } else { Poll::Pending }
    }
}
