//! How many bytes of request bodies a node holds at once (docs/limits.md).

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most bytes, as they arrived, that the bodies of all requests take together. Clones share it.
#[derive(Debug, Clone)]
pub struct BodyBudget(Arc<Semaphore>);

/// The bytes that one body has taken, given back when this is dropped.
#[derive(Debug)]
pub struct Taken {
    budget: BodyBudget,
    permit: Option<OwnedSemaphorePermit>,
}

/// The budget does not have as much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

impl BodyBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// For a body of which nothing has arrived yet.
    pub fn start(&self) -> Taken {
        Taken { budget: self.clone(), permit: None }
    }

    /// The bytes that are left.
    pub fn left(&self) -> usize {
        self.0.available_permits()
    }
}

impl Taken {
    /// Takes `bytes` more, without waiting: a body that waits holds what it has already taken, and two that wait for
    /// each other would both be stuck.
    ///
    /// # Errors
    /// The budget does not have them.
    pub fn add(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let bytes = u32::try_from(bytes).map_err(|_| Exhausted)?;
        let Ok(more) = Arc::clone(&self.budget.0).try_acquire_many_owned(bytes) else {
            tracing::warn!("a body is refused: request bodies use all of --max-body-memory");
            return Err(Exhausted);
        };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_body_takes_is_missing_until_it_is_dropped() {
        let budget = BodyBudget::new(10);
        let (mut first, mut second) = (budget.start(), budget.start());

        assert_eq!([first.add(4), first.add(3), second.add(3)], [Ok(()); 3]);
        assert_eq!(budget.left(), 0);
        assert_eq!(second.add(1), Err(Exhausted));
        drop(first);
        assert_eq!(budget.left(), 7);
        assert_eq!(second.add(7), Ok(()));
        drop(second);
        assert_eq!(budget.left(), 10);
    }
}
