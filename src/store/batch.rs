//! Requests that are in flight together share one statement.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What is asked for while a statement runs is asked for together by the next one. Who comes alone goes at once. A
/// statement begins after all that it is for was asked for: so each sees what was acknowledged before it was sent.
pub struct Batch<K, V>(Arc<Mutex<Waiting<K, V>>>);

struct Waiting<K, V> {
    queue: VecDeque<Asked<K, V>>,
    /// Statements that run.
    running: usize,
}

struct Asked<K, V> {
    key: K,
    turn: oneshot::Sender<Turn<K, V>>,
}

enum Turn<K, V> {
    Answered(V),
    /// It is to run the next statement, its own key and others'.
    Leads(Lead<K, V>),
}

/// The right to run a statement; dropped, also by somebody who gave up, it goes to the next who waits.
struct Lead<K, V>(Arc<Mutex<Waiting<K, V>>>);

/// Statements that run at once.
const AT_ONCE: usize = 1;
/// Keys of a statement.
const MOST: usize = 128;

impl<K: Clone, V> Batch<K, V> {
    /// Asks for a key, alone or with others. `run` gets keys, and gives a value for each, in their order. `None` if
    /// what was asked for together failed: then it is to be asked for alone, so that only what is bad fails.
    ///
    /// # Errors
    /// That of `run`, asked for this key alone.
    pub async fn ask<E>(&self, key: K, run: impl AsyncFnOnce(&[K]) -> Result<Vec<V>, E>) -> Result<Option<V>, E> {
        let turn = {
            let mut waiting = lock(&self.0);
            if waiting.running < AT_ONCE {
                waiting.running += 1;
                None
            } else {
                let (turn, told) = oneshot::channel();
                waiting.queue.push_back(Asked { key: key.clone(), turn });
                Some(told)
            }
        };
        let lead = match turn {
            None => Lead(Arc::clone(&self.0)),
            Some(told) => match told.await {
                Ok(Turn::Answered(value)) => return Ok(Some(value)),
                Ok(Turn::Leads(lead)) => lead,
                Err(_) => return Ok(None),
            },
        };
        lead.run(key, run).await
    }
}

impl<K, V> Lead<K, V> {
    async fn run<E>(self, key: K, run: impl AsyncFnOnce(&[K]) -> Result<Vec<V>, E>) -> Result<Option<V>, E> {
        let (mut keys, mut turns) = (vec![key], Vec::new());
        {
            let mut waiting = lock(&self.0);
            while keys.len() < MOST
                && let Some(Asked { key, turn }) = waiting.queue.pop_front()
            {
                if !turn.is_closed() {
                    keys.push(key);
                    turns.push(turn);
                }
            }
        }
        let done = run(&keys).await;
        drop(self); // the next statement does not wait for what follows
        match done {
            Ok(values) => {
                let mut values = values.into_iter();
                let own = values.next();
                for (turn, value) in turns.into_iter().zip(values) {
                    let _ = turn.send(Turn::Answered(value)); // it may have given up
                }
                Ok(own)
            }
            Err(error) if turns.is_empty() => Err(error),
            Err(_) => Ok(None),
        }
    }
}

impl<K, V> Drop for Lead<K, V> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.0);
        waiting.running -= 1;
        while let Some(Asked { turn, .. }) = waiting.queue.pop_front() {
            if !turn.is_closed() {
                waiting.running += 1;
                let lead = Self(Arc::clone(&self.0));
                drop(waiting);
                // Who gave up in this moment drops it, and so passes it on.
                drop(turn.send(Turn::Leads(lead)));
                return;
            }
        }
    }
}

impl<K, V> Default for Batch<K, V> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Waiting { queue: VecDeque::new(), running: 0 })))
    }
}

impl<K, V> Clone for Batch<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> fmt::Debug for Batch<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

fn lock<K, V>(waiting: &Mutex<Waiting<K, V>>) -> MutexGuard<'_, Waiting<K, V>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::ops::Range;

    use futures_util::FutureExt as _;
    use futures_util::future::{join, join_all};
    use tokio::sync::Semaphore;

    use super::*;

    /// Doubles numbers when it is let, keeps what it was asked, and fails for what holds a 13.
    struct Doubler {
        asked: RefCell<Vec<Vec<u32>>>,
        lets: Semaphore,
    }

    impl Doubler {
        fn new(lets: usize) -> Self {
            Self { asked: RefCell::default(), lets: Semaphore::new(lets) }
        }

        async fn ask(&self, batch: &Batch<u32, u32>, n: u32) -> Result<Option<u32>, &'static str> {
            let run = async |numbers: &[u32]| {
                self.asked.borrow_mut().push(numbers.to_vec());
                self.lets.acquire().await.map_err(|_| "closed")?.forget();
                if numbers.contains(&13) { Err("unlucky") } else { Ok(numbers.iter().map(|n| 2 * n).collect()) }
            };
            batch.ask(n, run).await
        }
    }

    impl Doubler {
        /// All at once: nobody is let before everybody asked.
        async fn all(&self, batch: &Batch<u32, u32>, numbers: Range<u32>) -> Vec<Result<Option<u32>, &'static str>> {
            let ask = join_all(numbers.map(|n| self.ask(batch, n)));
            join(ask, async { self.lets.add_permits(9) }).await.0
        }
    }

    #[tokio::test]
    async fn who_comes_alone_goes_at_once() {
        let (batch, doubler) = (Batch::default(), Doubler::new(9));
        assert_eq!(doubler.ask(&batch, 1).now_or_never(), Some(Ok(Some(2))));
        assert_eq!(doubler.ask(&batch, 2).now_or_never(), Some(Ok(Some(4))));
    }

    #[tokio::test]
    async fn those_who_come_while_a_statement_runs_share_the_next() {
        let (batch, doubler) = (Batch::default(), Doubler::new(0));
        let answers = doubler.all(&batch, 0..5).await;

        assert_eq!(answers, [0, 2, 4, 6, 8].map(|n| Ok(Some(n))));
        assert_eq!(*doubler.asked.borrow(), [vec![0], vec![1, 2, 3, 4]]);
    }

    #[tokio::test]
    async fn a_statement_is_for_so_many_at_most() {
        let (batch, doubler) = (Batch::default(), Doubler::new(0));
        let most = u32::try_from(MOST).unwrap();
        let answers = doubler.all(&batch, 100..most + 150).await;

        assert!(answers.iter().all(|answer| matches!(answer, Ok(Some(_)))));
        assert_eq!(doubler.asked.borrow().iter().map(Vec::len).collect::<Vec<_>>(), [1, MOST, 49]);
    }

    #[tokio::test]
    async fn what_is_bad_fails_alone() {
        let (batch, doubler) = (Batch::default(), Doubler::new(0));
        let ask = async |n| match doubler.ask(&batch, n).await {
            Ok(None) => doubler.ask(&Batch::default(), n).await,
            other => other,
        };
        let (answers, ()) = join(join_all([1, 2, 13, 3].map(ask)), async { doubler.lets.add_permits(9) }).await;

        assert_eq!(answers, [Ok(Some(2)), Ok(Some(4)), Err("unlucky"), Ok(Some(6))]);
    }

    #[tokio::test]
    async fn who_gives_up_keeps_nobody_waiting() {
        let (batch, doubler) = (Batch::default(), Doubler::new(0));
        let mut leads = Box::pin(doubler.ask(&batch, 1));
        let (mut next, mut last) = (Box::pin(doubler.ask(&batch, 2)), Box::pin(doubler.ask(&batch, 3)));
        assert!(leads.as_mut().now_or_never().is_none());
        assert!(next.as_mut().now_or_never().is_none() && last.as_mut().now_or_never().is_none());

        drop(leads); // while its statement runs: the next one leads
        drop(next); // before it knew
        doubler.lets.add_permits(9);
        assert_eq!(last.await, Ok(Some(6)));
    }

    #[tokio::test]
    async fn a_statement_begins_after_what_it_is_for_was_asked_for() {
        let (batch, doubler) = (Batch::default(), Doubler::new(0));
        let first = doubler.ask(&batch, 1);
        let late = async {
            tokio::task::yield_now().await;
            assert_eq!(*doubler.asked.borrow(), [vec![1]], "what runs is for nobody who comes now");
            doubler.lets.add_permits(2);
            doubler.ask(&batch, 1).await
        };
        let (first, late) = join(first, late).await;

        assert_eq!((first, late), (Ok(Some(2)), Ok(Some(2))));
        assert_eq!(*doubler.asked.borrow(), [vec![1], vec![1]]);
    }
}
