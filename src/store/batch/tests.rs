//! What shares a statement, and what becomes of those who share one.

use std::collections::BTreeMap;
use std::iter;

use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture, join, join_all};
use rstest::rstest;
use tokio::sync::Semaphore;

use super::load::{MOST, MOST_ITEMS};
use super::*;

/// A number that is to be doubled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number(u32);

impl Item for Number {
    type Value = u32;

    fn weight(&self) -> usize {
        if self.0 == HEAVY { MOST - 1 } else { 1 }
    }

    fn is_apart_from(&self, other: &Self) -> bool {
        self == other
    }
}

const PATIENCE: Duration = Duration::from_secs(1);
const HEAVY: u32 = 1_000;
/// The database refuses it.
const BAD: u32 = 13;
/// Nobody knows whether it was done.
const UNKNOWN: u32 = 14;

/// Doubles numbers when it is let, and keeps what it was asked.
#[derive(Clone)]
struct Doubler {
    asked: Arc<Mutex<Vec<Vec<u32>>>>,
    lets: Arc<Semaphore>,
}

impl Doubler {
    fn new(lets: usize) -> (Self, Batch<Number>) {
        let doubler = Self { asked: Arc::default(), lets: Arc::new(Semaphore::new(lets)) };
        let asked = doubler.clone();
        let connect = move || {
            let asked = asked.clone();
            let ask: Ask<Number> = Box::new(move |part| asked.double(part));
            future::ready(Ok(ask)).boxed()
        };
        (doubler, Batch::connecting(PATIENCE, connect))
    }

    fn double(self, part: Part<Number>) -> BoxFuture<'static, Result<Vec<u32>, StoreError>> {
        let numbers: Vec<u32> = part.iter().map(|number| number.0).collect();
        if numbers.is_empty() {
            return future::ready(Ok(numbers)).boxed();
        }
        self.asked.lock().unwrap().push(numbers.clone());
        let doubled = async move {
            self.lets.acquire().await.unwrap().forget();
            if numbers.contains(&BAD) {
                return Err(StoreError::Conflict(sqlx::Error::RowNotFound.into()));
            }
            if numbers.contains(&UNKNOWN) {
                return Err(sqlx::Error::WorkerCrashed.into());
            }
            Ok(numbers.iter().map(|n| 2 * n).collect())
        };
        doubled.boxed()
    }

    fn asked(&self) -> Vec<Vec<u32>> {
        self.asked.lock().unwrap().clone()
    }

    /// What they are answered: nothing is done before the first statement has begun, and all others wait.
    async fn all(
        &self,
        batch: &Batch<Number>,
        numbers: impl IntoIterator<Item = u32>,
    ) -> Vec<Result<u32, &'static str>> {
        let ask = async |n| {
            batch.ask(Number(n)).await.map_err(|error| match error {
                StoreError::Unavailable(_) => "unavailable",
                _ => "refused",
            })
        };
        let mut numbers = numbers.into_iter();
        let first = numbers.next().into_iter().map(ask);
        let later = numbers.map(ask);
        let begun = async {
            while self.asked().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        let later = async {
            begun.await;
            let all = join_all(later);
            join(all, async { self.lets.add_permits(99) }).await.0
        };
        let (mut first, later) = join(join_all(first), later).await;
        first.extend(later);
        first
    }
}

#[tokio::test]
async fn who_comes_alone_goes_at_once() {
    let (doubler, batch) = Doubler::new(9);
    assert_eq!(batch.ask(Number(1)).await.ok(), Some(2));
    assert_eq!(batch.ask(Number(2)).await.ok(), Some(4));
    assert_eq!(doubler.asked(), [[1], [2]]);
}

#[tokio::test]
async fn those_who_come_while_a_statement_runs_share_the_next() {
    let (doubler, batch) = Doubler::new(0);
    let answers = doubler.all(&batch, 0..5).await;

    assert_eq!(answers, [0, 2, 4, 6, 8].map(Ok));
    assert_eq!(doubler.asked(), [vec![0], vec![1, 2, 3, 4]]);
}

#[tokio::test]
async fn a_statement_is_for_so_many_at_most() {
    let (doubler, batch) = Doubler::new(0);
    let most = u32::try_from(MOST_ITEMS).unwrap();
    let answers = doubler.all(&batch, 100..most + 150).await;

    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(doubler.asked().iter().map(Vec::len).collect::<Vec<_>>(), [1, MOST_ITEMS, 49]);
}

#[tokio::test]
async fn a_statement_is_for_so_many_rows_at_most() {
    let (doubler, batch) = Doubler::new(0);
    let answers = doubler.all(&batch, [0, 1, HEAVY, 2, 3]).await;

    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(doubler.asked(), [vec![0], vec![1, HEAVY], vec![2, 3]]);
}

#[tokio::test]
async fn those_who_must_be_apart_are_asked_for_one_after_the_other() {
    let (doubler, batch) = Doubler::new(0);
    let answers = doubler.all(&batch, [0, 7, 7, 8, 7]).await;

    assert_eq!(answers, [0, 14, 14, 16, 14].map(Ok));
    assert_eq!(doubler.asked(), [vec![0], vec![7, 8], vec![7], vec![7]]);
}

#[tokio::test]
async fn what_is_bad_fails_alone() {
    let (_, batch_of_one) = Doubler::new(9);
    assert!(batch_of_one.ask(Number(BAD)).await.is_err());

    let (doubler, batch) = Doubler::new(0);
    let answers = doubler.all(&batch, [1, 2, BAD, 3]).await;
    assert_eq!(answers, [Ok(2), Ok(4), Err("refused"), Ok(6)]);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    let (doubler, batch) = Doubler::new(0);
    let answers = doubler.all(&batch, [1, 2, UNKNOWN, 3]).await;

    assert_eq!(answers, [Ok(2), Err("unavailable"), Err("unavailable"), Err("unavailable")]);
    let mut times = BTreeMap::new();
    doubler.asked().into_iter().flatten().for_each(|n| *times.entry(n).or_insert(0) += 1);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[rstest]
#[case::before_its_turn(false)]
#[case::while_its_statement_runs(true)]
#[tokio::test]
async fn who_gives_up_takes_nothing_from_others(#[case] in_its_turn: bool) {
    let (doubler, batch) = Doubler::new(0);
    let mut asked: Vec<_> = (1..=3).map(|n| Box::pin(batch.ask(Number(n)))).collect();
    iter::zip(&mut asked, 1..).for_each(|(ask, n)| assert!(ask.now_or_never().is_none(), "{n} is not let"));
    let mut asked = asked.into_iter();
    let (first, second, third) = (asked.next(), asked.next(), asked.next().unwrap());
    if in_its_turn {
        tokio::task::yield_now().await;
        assert_eq!(doubler.asked(), [[1, 2, 3]]);
    }

    drop((first, second));
    doubler.lets.add_permits(9);
    assert_eq!(third.await.ok(), Some(6));
    assert_eq!(doubler.asked(), if in_its_turn { [vec![1, 2, 3]] } else { [vec![3]] });
}

#[tokio::test]
async fn a_statement_begins_after_what_it_is_for_was_asked_for() {
    let (doubler, batch) = Doubler::new(0);
    let late = async {
        while doubler.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(doubler.asked(), [[1]], "what runs is for nobody who comes now");
        doubler.lets.add_permits(2);
        batch.ask(Number(2)).await
    };
    let (first, late) = join(batch.ask(Number(1)), late).await;

    assert_eq!((first.ok(), late.ok()), (Some(2), Some(4)));
    assert_eq!(doubler.asked(), [[1], [2]]);
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_is_held_up_holds_up_nobody_else_for_long() {
    let (doubler, batch) = Doubler::new(0);
    let (held_up, began) = (batch.ask(Number(1)), Instant::now());
    let next = async {
        while doubler.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        let next = batch.ask(Number(2));
        let beside = async {
            while doubler.asked().len() < 2 && began.elapsed() < PATIENCE {
                tokio::time::sleep(SLOW / 10).await;
            }
            assert_eq!(doubler.asked(), [[1], [2]], "the second runs beside the first");
            doubler.lets.add_permits(2);
        };
        join(next, beside).await.0
    };
    let (held_up, next) = join(held_up, next).await;
    assert_eq!((held_up.ok(), next.ok()), (Some(2), Some(4)));
}

#[rstest]
#[case::for_its_statement(0)]
#[case::for_its_turn(u32::try_from(AT_ONCE).unwrap())]
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever(#[case] held_up: u32) {
    let (doubler, batch) = Doubler::new(0);
    let ask = async |n| {
        tokio::time::sleep(SLOW * 2 * n + SLOW / 2).await; // a statement for each
        let asked = Instant::now();
        (batch.ask(Number(n)).await, asked.elapsed())
    };
    let answers = join_all((0..=held_up).map(ask)).await;

    for (answer, waited) in answers {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        // It may be known earlier that there is no answer in time.
        assert!((PATIENCE / 2..PATIENCE + 2 * SLOW).contains(&waited), "{waited:?}");
    }
    assert!(doubler.asked().len() <= held_up as usize + 1);
}

#[tokio::test]
async fn a_statement_that_panics_leaves_nobody_waiting() {
    let asked = Arc::new(Semaphore::new(0));
    let begun = Arc::clone(&asked);
    let batch = Batch::<Number>::connecting(PATIENCE, move || {
        let begun = Arc::clone(&begun);
        let ask: Ask<Number> = Box::new(move |_| {
            begun.add_permits(1);
            async {
                tokio::task::yield_now().await;
                panic!("as a defect would")
            }
            .boxed()
        });
        future::ready(Ok(ask)).boxed()
    });
    let late = async {
        asked.acquire().await.unwrap().forget();
        batch.ask(Number(2)).await
    };
    let (first, late) = join(batch.ask(Number(1)), late).await;
    assert!(first.is_err() && late.is_err());
}

#[tokio::test(start_paused = true)]
async fn with_more_requests_than_the_database_takes_the_admitted_are_answered_in_time_and_the_others_refused_at_once() {
    const STATEMENT: Duration = Duration::from_millis(500);
    let begun = Arc::new(Semaphore::new(0));
    let begins = Arc::clone(&begun);
    let batch = Batch::<Number>::connecting(PATIENCE * 2, move || {
        let begins = Arc::clone(&begins);
        let ask: Ask<Number> = Box::new(move |part| {
            async move {
                begins.add_permits(part.len());
                tokio::time::sleep(STATEMENT).await;
                Ok(vec![0; part.len()])
            }
            .boxed()
        });
        future::ready(Ok(ask)).boxed()
    });
    // 4,000 a second for 6 s. Each statement is for 512 at most, which is 1,000 a second.
    let answers = join_all((0..24_000_u32).map(async |n| {
        tokio::time::sleep(Duration::from_micros(250) * n).await;
        let asked = Instant::now();
        let answer = batch.ask(Number(n + HEAVY + 1)).await;
        (answer.map_err(|error| matches!(error, StoreError::Overloaded)), asked.elapsed())
    }));
    let answers = answers.await;

    let waited =
        |of: Result<u32, bool>| answers.iter().filter(move |(answer, _)| *answer == of).map(|(_, waited)| *waited);
    let (done, refused): (Vec<_>, Vec<_>) = (waited(Ok(0)).collect(), waited(Err(true)).collect());
    assert_eq!(done.len() + refused.len(), answers.len(), "nobody is told that the database is away");
    assert!(done.len() > 4_800, "{} of 6,000 that it can do", done.len());
    assert_eq!(begun.available_permits(), done.len(), "nothing is begun for a request that is refused");
    // At first it is not known how long a statement takes.
    let longest = done.iter().skip(done.len() / 4).max().copied().unwrap_or_default();
    assert!(longest <= 2 * STATEMENT + 2 * SLOW, "{longest:?}");
    assert!(refused.iter().all(Duration::is_zero));
}

#[tokio::test(start_paused = true)]
async fn after_a_freeze_of_the_database_requests_are_answered_at_once() {
    let frozen_until = Instant::now() + Duration::from_secs(10);
    let batch = Batch::<Number>::connecting(PATIENCE, move || {
        let ask: Ask<Number> = Box::new(move |part| {
            async move {
                tokio::time::sleep_until(frozen_until).await;
                Ok(vec![0; part.len()])
            }
            .boxed()
        });
        future::ready(Ok(ask)).boxed()
    });
    let ask_until = async |end: Instant| {
        let mut asked = Vec::new();
        while Instant::now() < end {
            asked.push(batch.ask(Number(1)).now_or_never());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    ask_until(frozen_until + Duration::from_millis(200)).await;

    let answers = join_all((0..100).map(|_| batch.ask(Number(2)))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}
