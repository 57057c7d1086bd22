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
    connect: Connect<I>,
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
type Answers<I> = Result<Vec<<I as Item>::Value>, StoreError>;
/// Makes ready to ask: what is asked for until then is asked for, too.
type Connect<I> = Box<dyn Fn() -> BoxFuture<'static, Result<Ask<I>, StoreError>> + Send + Sync>;
type Ask<I> = Box<dyn FnOnce(Part<I>) -> BoxFuture<'static, Answers<I>> + Send>;

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
        Self::connecting(move || {
            let db = db.clone();
            Box::pin(async move {
                let taken = within(patience, db.take()).await?;
                let ask: Ask<I> = Box::new(move |part| {
                    let run = taken.run(of_any(move |conn| statement(conn, part.clone())));
                    Box::pin(within(patience, run))
                });
                Ok(ask)
            })
        })
    }

    fn connecting(
        connect: impl Fn() -> BoxFuture<'static, Result<Ask<I>, StoreError>> + Send + Sync + 'static,
    ) -> Self {
        let waiting = Mutex::new(Waiting { queue: VecDeque::new(), running: 0 });
        Self(Arc::new(Shared { waiting, connect: Box::new(connect) }))
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

async fn within<T>(patience: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
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
        loop {
            let ready = (self.shared.connect)().await;
            let asked = self.shared.lock().next(); // nobody, if all gave up
            match ready {
                Ok(ask) => self.shared.answer(ask, asked).await,
                Err(error) => asked.into_iter().for_each(|asked| drop(asked.told.send(Err(error.clone())))),
            }
            if self.ends() {
                return;
            }
        }
    }

    /// Ends if nobody waits, while nobody can come.
    fn ends(&mut self) -> bool {
        let mut waiting = self.shared.lock();
        self.is_over = waiting.queue.is_empty();
        waiting.running -= usize::from(self.is_over);
        self.is_over
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
    async fn answer(&self, ask: Ask<I>, asked: Vec<Asked<I>>) {
        let (items, told): (Vec<I>, Vec<_>) = asked.into_iter().map(|Asked { item, told }| (item, told)).unzip();
        let whole = Part { range: 0..items.len(), items: items.into() };
        let mut error = match ask(whole.clone()).await {
            Ok(values) => {
                for (told, value) in told.into_iter().zip(values) {
                    let _ = told.send(Ok(value)); // it may have given up
                }
                return;
            }
            Err(error) => error,
        };
        let is_for_each = whole.len() > 1 && error.is_refusal();
        if is_for_each {
            tracing::warn!(%error, items = whole.len(), "a statement for several is refused: each is asked for alone");
        }
        for (place, told) in told.into_iter().enumerate() {
            // Who gave up was told that nothing is done. When the database is gone, it is gone for all.
            if told.is_closed() || !is_for_each || matches!(error, StoreError::Unavailable(_)) {
                let _ = told.send(Err(error.clone()));
                continue;
            }
            let answer = self.ask_one(Part { range: place..place + 1, ..whole.clone() }).await;
            if let Err(StoreError::Unavailable(cause)) = &answer {
                error = StoreError::Unavailable(Arc::clone(cause));
            }
            let _ = told.send(answer);
        }
    }

    async fn ask_one(&self, part: Part<I>) -> Result<I::Value, StoreError> {
        let values = (self.connect)().await?(part).await?;
        values.into_iter().next().ok_or_else(|| sqlx::Error::WorkerCrashed.into())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<I>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The index of what a row is for, which says its place among those asked for, from 1.
pub(super) fn index(place: i64) -> Option<usize> {
    usize::try_from(place - 1).ok()
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
