//! Requests that are in flight together share one statement, and are refused at once if they would wait for too long.

mod load;

use std::collections::VecDeque;
use std::fmt;
use std::iter;
use std::ops::{Deref, Range};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use self::load::{AT_ONCE, Lane, Load, SLOW};
use super::pool::Pool;
use super::{Cause, StoreError};

/// A request that can share a statement with others of its kind.
pub trait Item: Send + Sync + 'static {
    /// The answer to one request.
    type Value: Send;

    /// Its part of a statement's work, in rows. A statement is for a bounded number of rows, or for one item.
    fn weight(&self) -> usize {
        1
    }

    /// True if no statement may be for both, as with two changes of one row.
    fn is_apart_from(&self, _: &Self) -> bool {
        false
    }
}

/// Requests that arrive while a statement runs share the next one. A lone request is sent immediately. A statement
/// begins after all of its requests arrived, so each of them sees what was acknowledged before it was sent.
///
/// Statements run in a task of their own, so a request that gives up does not cancel the others of its statement. That
/// task also has the only timer: one for each waiter would cost a system call whenever it becomes the earliest.
pub struct Batch<I: Item>(Arc<Shared<I>>);

struct Shared<I: Item> {
    waiting: Mutex<Waiting<I>>,
    connect: Connect<I>,
    /// The longest that a request waits: then it fails as the database is unavailable, and so does its statement.
    patience: Duration,
}

struct Waiting<I: Item> {
    queue: VecDeque<Asked<I>>,
    /// The rows of all in the queue.
    rows: usize,
    load: Load,
}

struct Asked<I: Item> {
    item: I,
    asker: Asker<I>,
}

/// The waiter of a request, and when it began to wait.
struct Asker<I: Item> {
    answer: Option<oneshot::Sender<Answer<I>>>,
    since: Instant,
}

/// What one statement is for.
pub struct Part<I> {
    items: Arc<[I]>,
    range: Range<usize>,
}

/// Gives a value for each item, in their order.
pub type Statement<I> = for<'a> fn(&'a mut PgConnection, Part<I>) -> BoxFuture<'a, Answers<I>>;
type Answers<I> = Result<Vec<<I as Item>::Value>, StoreError>;
type Answer<I> = Result<<I as Item>::Value, StoreError>;
/// Makes ready to ask: what is asked for until then is asked for, too.
type Connect<I> = Box<dyn Fn() -> BoxFuture<'static, Result<Ask<I>, StoreError>> + Send + Sync>;
type Ask<I> = Box<dyn FnOnce(Part<I>) -> BoxFuture<'static, Answers<I>> + Send>;

impl<I: Item> Batch<I> {
    /// A batch that runs `statement` on connections of `db`. No request waits much longer than `patience`.
    pub fn new(db: &Pool, patience: Duration, statement: Statement<I>) -> Self {
        let db = db.clone();
        Self::connecting(patience, move || {
            let db = db.clone();
            Box::pin(async move {
                let taken = db.take().await?;
                let ask: Ask<I> = Box::new(move |part| {
                    Box::pin(async move {
                        if part.is_empty() {
                            taken.give_back();
                            return Ok(Vec::new());
                        }
                        taken.run(of_any(move |conn| statement(conn, part.clone()))).await
                    })
                });
                Ok(ask)
            })
        })
    }

    fn connecting(
        patience: Duration,
        connect: impl Fn() -> BoxFuture<'static, Result<Ask<I>, StoreError>> + Send + Sync + 'static,
    ) -> Self {
        let waiting = Mutex::new(Waiting { queue: VecDeque::new(), rows: 0, load: Load::default() });
        Self(Arc::new(Shared { waiting, connect: Box::new(connect), patience }))
    }

    /// Asks for one item, alone or with others. What fails together is asked for one by one, so that only what is bad
    /// fails; but not if nobody knows whether the statement was done.
    ///
    /// # Errors
    /// `Overloaded` at once if it would wait for too long; then nothing is done. `Unavailable` if it waited for too long.
    pub async fn ask(&self, item: I) -> Result<I::Value, StoreError> {
        let (told, answer) = oneshot::channel();
        let since = Instant::now();
        let asker = Asker { answer: Some(told), since };
        {
            let mut waiting = self.0.lock();
            if !waiting.admits(since, self.0.patience) {
                return Err(StoreError::Overloaded);
            }
            waiting.push(Asked { item, asker });
        }
        self.0.run_up_to(1);
        answer.await.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed.into()))
    }

    /// Whether an item would be refused now.
    pub fn is_overloaded(&self) -> bool {
        !self.0.lock().admits(Instant::now(), self.0.patience)
    }
}

/// Says of a closure that it takes any connection: that is not inferred.
fn of_any<T, F: Fn(&mut PgConnection) -> BoxFuture<'_, Result<T, StoreError>>>(operation: F) -> F {
    operation
}

/// Runs statements, one after the other, until nobody waits.
struct Running<I: Item> {
    shared: Arc<Shared<I>>,
    lane: Lane,
    is_over: bool,
}

impl<I: Item> Running<I> {
    async fn run(mut self) {
        loop {
            self.shared.lock().load.begins_again(self.lane, Instant::now());
            let ready = self.shared.connect(&mut []).await;
            let asked = self.shared.lock().next(self.shared.patience); // nobody, if all gave up
            match ready {
                Ok(ask) => self.shared.answer(ask, asked).await,
                Err(error) => asked.into_iter().for_each(|mut asked| asked.asker.tell(Err(error.clone()))),
            }
            if self.ends() {
                return;
            }
        }
    }

    /// Ends if nobody waits, while nobody can come; or if the statements beside are held up no more.
    fn ends(&mut self) -> bool {
        let mut waiting = self.shared.lock();
        self.is_over = waiting.queue.is_empty() || waiting.load.is_spare(self.lane, Instant::now());
        if self.is_over {
            waiting.load.ends(self.lane);
        }
        self.is_over
    }
}

impl<I: Item> Drop for Running<I> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut waiting = self.shared.lock();
            waiting.load.ends(self.lane);
            if waiting.load.count() == 0 {
                waiting.queue.clear(); // it panicked, and nobody else runs to look who waits
                waiting.rows = 0;
            }
        }
    }
}

impl<I: Item> Waiting<I> {
    fn admits(&self, now: Instant, patience: Duration) -> bool {
        self.load.admits(self.queue.len(), self.rows, now, patience)
    }

    fn push(&mut self, asked: Asked<I>) {
        self.rows += asked.item.weight();
        self.queue.push_back(asked);
    }

    fn pop(&mut self) -> Option<Asked<I>> {
        let asked = self.queue.pop_front()?;
        self.rows -= asked.item.weight();
        Some(asked)
    }

    /// The requests that the next statement is for, in the order in which they came. One that has to be apart keeps its
    /// place. One whose answer would come too late is told so, and its statement never begins.
    fn next(&mut self, patience: Duration) -> Vec<Asked<I>> {
        let (most_items, most) = self.load.most();
        let (mut next, mut weight) = (Vec::<Asked<I>>::new(), 0);
        let (mut left, now) = (VecDeque::new(), Instant::now());
        while left.len() < most_items
            && let Some(mut asked) = self.pop()
        {
            if self.load.is_too_late(now.saturating_duration_since(asked.asker.since), patience) {
                asked.asker.tell(Err(Cause::Queue.into()));
            }
            if asked.asker.is_gone() {
                continue;
            }
            let fits = next.len() < most_items && weight + asked.item.weight() <= most;
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
        self.rows += left.iter().map(|asked| asked.item.weight()).sum::<usize>();
        left.append(&mut self.queue);
        self.queue = left;
        next
    }
}

impl<I: Item> Shared<I> {
    /// Runs the next statement, unless so many run or it would be for nobody.
    fn run_up_to(self: &Arc<Self>, most: usize) {
        let mut waiting = self.lock();
        if waiting.queue.is_empty() {
            return;
        }
        let Some(lane) = waiting.load.begin(most, Instant::now()) else { return };
        drop(waiting); // a task that is dropped at once, at shutdown, locks it
        tokio::spawn(Running { shared: Arc::clone(self), lane, is_over: false }.run());
    }

    /// Checks the requests that wait, for a statement or for the next one: those that waited too long are told so, and
    /// beside statements that are held up the next one runs.
    fn look(self: &Arc<Self>, askers: &mut [Asker<I>]) {
        let now = Instant::now();
        for asker in askers {
            asker.gives_up(now, self.patience, Cause::SlowStatement);
        }
        let mut waiting = self.lock();
        // They stand there in the order in which they came.
        while waiting.queue.front_mut().is_some_and(|asked| asked.asker.gives_up(now, self.patience, Cause::Queue)) {
            waiting.pop();
        }
        let is_held_up = waiting.load.is_held_up(now);
        drop(waiting);
        if is_held_up {
            self.run_up_to(AT_ONCE);
        }
    }

    async fn connect(self: &Arc<Self>, waiting: &mut [Asker<I>]) -> Result<Ask<I>, StoreError> {
        self.patiently((self.connect)(), waiting, Cause::NoConnection).await
    }

    async fn answer(self: &Arc<Self>, ask: Ask<I>, asked: Vec<Asked<I>>) {
        let (items, mut askers): (Vec<I>, Vec<_>) =
            asked.into_iter().map(|Asked { item, asker }| (item, asker)).unzip();
        let whole = Part { range: 0..items.len(), items: items.into() };
        let began = Instant::now();
        let answer = self.patiently(ask(whole.clone()), &mut askers, Cause::SlowStatement).await;
        if !matches!(&answer, Err(StoreError::Unavailable(_))) || began.elapsed() >= self.patience {
            self.lock().load.took(began.elapsed());
        }
        let mut error = match answer {
            Ok(values) => {
                iter::zip(&mut askers, values).for_each(|(asker, value)| asker.tell(Ok(value)));
                return;
            }
            Err(error) => error,
        };
        let is_for_each = whole.len() > 1 && error.is_refusal();
        if is_for_each {
            tracing::warn!(%error, items = whole.len(), "a statement for several is refused: each is asked for alone");
        }
        for place in 0..askers.len() {
            let waiting = askers.get_mut(place..).unwrap_or_default();
            // A request that gave up was answered that nothing is done. A database that is gone is gone for all.
            let is_asked = is_for_each
                && !matches!(error, StoreError::Unavailable(_))
                && waiting.first().is_some_and(|asker| !asker.is_gone());
            let answer = if is_asked {
                self.ask_one(Part { range: place..place + 1, ..whole.clone() }, waiting).await
            } else {
                Err(error.clone())
            };
            if let Some(asker) = waiting.first_mut() {
                if let Err(StoreError::Unavailable(cause)) = &answer
                    && !asker.is_gone()
                {
                    error = StoreError::Unavailable(cause.clone());
                }
                asker.tell(answer);
            }
        }
    }

    async fn ask_one(self: &Arc<Self>, part: Part<I>, waiting: &mut [Asker<I>]) -> Answer<I> {
        let ask = self.connect(waiting).await?;
        let is_gone = waiting.first().is_none_or(Asker::is_gone);
        let part = if is_gone { Part { range: 0..0, ..part } } else { part };
        let values = self.patiently(ask(part), waiting, Cause::SlowStatement).await?;
        values.into_iter().next().ok_or_else(|| sqlx::Error::WorkerCrashed.into())
    }

    /// Runs `work` and meanwhile expires waiters whose deadline has passed. Fails with `cause` if the work takes longer
    /// than the patience.
    async fn patiently<T>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T, StoreError>>,
        waiting: &mut [Asker<I>],
        cause: Cause,
    ) -> Result<T, StoreError> {
        let (mut work, began) = (pin!(work), Instant::now());
        loop {
            self.look(waiting);
            if began.elapsed() >= self.patience {
                return Err(cause.into());
            }
            if let Ok(done) = timeout(SLOW, &mut work).await {
                return done;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<I>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Item> Asker<I> {
    fn tell(&mut self, answer: Answer<I>) {
        if let Some(told) = self.answer.take() {
            let _ = told.send(answer); // it may have given up
        }
    }

    /// True if it was told something, or gave up.
    fn is_gone(&self) -> bool {
        self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// True if it is gone. One that waited for `patience` is told `cause`, and is gone.
    fn gives_up(&mut self, now: Instant, patience: Duration, cause: Cause) -> bool {
        if now.saturating_duration_since(self.since) >= patience {
            self.tell(Err(cause.into()));
        }
        self.is_gone()
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
