//! Requests that are in flight together share one statement.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::StoreError;
use super::pool::Pool;

/// What can be asked for in one statement with others of its kind.
pub trait Item: Send + Sync + 'static {
    /// What is answered.
    type Value: Send;

    /// Its part of a statement's work, in rows: a statement is for so many, or for one item.
    fn weight(&self) -> usize {
        1
    }

    /// True if no statement may be for both, as with two changes of one row.
    fn is_apart_from(&self, _: &Self) -> bool {
        false
    }
}

/// What is asked for while a statement runs is asked for together by the next one. Who comes alone goes at once. A
/// statement begins after all that it is for was asked for: so each sees what was acknowledged before it was sent.
///
/// Statements run in a task of their own: who gives up takes nothing from those whose statement is the same.
pub struct Batch<I: Item>(Arc<Shared<I>>);

struct Shared<I: Item> {
    waiting: Mutex<Waiting<I>>,
    ask: Ask<I>,
}

struct Waiting<I: Item> {
    queue: VecDeque<Asked<I>>,
    /// Statements that run.
    running: usize,
}

struct Asked<I: Item> {
    item: I,
    told: oneshot::Sender<Result<I::Value, StoreError>>,
}

/// What one statement is for.
pub struct Part<I> {
    items: Arc<[I]>,
    range: Range<usize>,
}

/// Gives a value for each item, in their order.
pub type Statement<I> = for<'a> fn(&'a mut PgConnection, Part<I>) -> BoxFuture<'a, Answers<I>>;
type Ask<I> = Box<dyn Fn(Part<I>) -> BoxFuture<'static, Answers<I>> + Send + Sync>;
type Answers<I> = Result<Vec<<I as Item>::Value>, StoreError>;

/// The rows of a statement.
const MOST: usize = 512;
/// The items of one.
const MOST_ITEMS: usize = 128;
/// Who waited so long waits for a statement that is held up, by a lock or by its connection: the next one runs beside it.
const SLOW: Duration = Duration::from_millis(100);
/// So many run then at most.
const AT_ONCE: usize = 4;

impl<I: Item> Batch<I> {
    /// What is asked for with a statement, on connections of `db`; each statement is given up after `patience`.
    pub fn new(db: &Pool, patience: Duration, statement: Statement<I>) -> Self {
        let db = db.clone();
        Self::asking(move |part| {
            let db = db.clone();
            Box::pin(async move { db.run(patience, of_any(move |conn| statement(conn, part.clone()))).await })
        })
    }

    fn asking(ask: impl Fn(Part<I>) -> BoxFuture<'static, Answers<I>> + Send + Sync + 'static) -> Self {
        let waiting = Mutex::new(Waiting { queue: VecDeque::new(), running: 0 });
        Self(Arc::new(Shared { waiting, ask: Box::new(ask) }))
    }

    /// Asks for one item, alone or with others. What fails together is asked for one by one, so that only what is bad
    /// fails; but not if nobody knows whether the statement was done.
    pub async fn ask(&self, item: I) -> Result<I::Value, StoreError> {
        let (told, mut answer) = oneshot::channel();
        self.0.lock().queue.push_back(Asked { item, told });
        let answered = if self.run_up_to(1) {
            answer.await
        } else {
            match timeout(SLOW, &mut answer).await {
                Ok(answered) => answered,
                Err(_) => {
                    self.run_up_to(AT_ONCE);
                    answer.await
                }
            }
        };
        answered.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed.into()))
    }

    /// Runs the next statement, unless so many run; gives whether it does.
    fn run_up_to(&self, most: usize) -> bool {
        let mut waiting = self.0.lock();
        let runs = waiting.running < most && !waiting.queue.is_empty();
        if runs {
            waiting.running += 1;
            tokio::spawn(Running { shared: Arc::clone(&self.0), is_over: false }.run());
        }
        runs
    }
}

/// Says of a closure that it takes any connection: that is not inferred.
fn of_any<T, F: Fn(&mut PgConnection) -> BoxFuture<'_, Result<T, StoreError>>>(operation: F) -> F {
    operation
}

/// Runs statements, one after the other, until nobody waits.
struct Running<I: Item> {
    shared: Arc<Shared<I>>,
    is_over: bool,
}

impl<I: Item> Running<I> {
    async fn run(mut self) {
        while let Some(asked) = self.next() {
            self.shared.answer(asked).await;
        }
    }

    fn next(&mut self) -> Option<Vec<Asked<I>>> {
        let mut waiting = self.shared.lock();
        let next = waiting.next();
        if next.is_empty() {
            waiting.running -= 1; // while nobody can come
            self.is_over = true;
            return None;
        }
        Some(next)
    }
}

impl<I: Item> Drop for Running<I> {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.lock().running -= 1;
        }
    }
}

impl<I: Item> Waiting<I> {
    /// Those whom the next statement is for, in the order in which they came; who has to be apart keeps its place.
    fn next(&mut self) -> Vec<Asked<I>> {
        let (mut next, mut weight) = (Vec::<Asked<I>>::new(), 0);
        let mut left = VecDeque::new();
        while let Some(asked) = self.queue.pop_front() {
            if asked.told.is_closed() {
                continue; // it gave up
            }
            let fits = next.len() < MOST_ITEMS && weight + asked.item.weight() <= MOST;
            if !fits && !next.is_empty() {
                left.push_back(asked);
                break;
            }
            // Nor does it overtake one that is left and that it has to be apart from.
            if next.iter().chain(&left).any(|other| asked.item.is_apart_from(&other.item)) {
                left.push_back(asked);
            } else {
                weight += asked.item.weight();
                next.push(asked);
            }
        }
        left.append(&mut self.queue);
        self.queue = left;
        next
    }
}

impl<I: Item> Shared<I> {
    async fn answer(&self, asked: Vec<Asked<I>>) {
        let (items, told): (Vec<I>, Vec<_>) = asked.into_iter().map(|Asked { item, told }| (item, told)).unzip();
        let part = Part { range: 0..items.len(), items: items.into() };
        match (self.ask)(part.clone()).await {
            Ok(values) => {
                for (told, value) in told.into_iter().zip(values) {
                    let _ = told.send(Ok(value)); // it may have given up
                }
            }
            Err(StoreError::Unavailable(cause)) => {
                for told in told {
                    let _ = told.send(Err(StoreError::Unavailable(Arc::clone(&cause))));
                }
            }
            // The database refused it, and so did nothing.
            Err(error) => {
                let mut known = (told.len() == 1).then_some(error);
                for (place, told) in told.into_iter().enumerate() {
                    let answer = match known.take() {
                        Some(error) => Err(error),
                        None => self.ask_one(Part { range: place..place + 1, ..part.clone() }).await,
                    };
                    let _ = told.send(answer);
                }
            }
        }
    }

    async fn ask_one(&self, part: Part<I>) -> Result<I::Value, StoreError> {
        let values = (self.ask)(part).await?;
        values.into_iter().next().ok_or_else(|| sqlx::Error::WorkerCrashed.into())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<I>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I> Deref for Part<I> {
    type Target = [I];

    fn deref(&self) -> &[I] {
        self.items.get(self.range.clone()).unwrap_or_default()
    }
}

impl<I> Clone for Part<I> {
    fn clone(&self) -> Self {
        Self { items: Arc::clone(&self.items), range: self.range.clone() }
    }
}

impl<I: Item> fmt::Debug for Batch<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
