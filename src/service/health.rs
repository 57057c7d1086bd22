//! Whether the service can do its work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Context, PATIENCE, ServiceError};
use crate::store::{self, StoreError};

/// How long outcomes of writes count, in steps of a second.
const SECONDS: usize = 10;
/// With fewer writes than this, no conclusion is drawn.
const FEWEST: u32 = 10;

/// Why the service is not ready. The texts are for operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    #[error("the database does not answer")]
    Away,
    #[error("the database refuses writes: {0}")]
    RefusesWrites(String),
    #[error("more than half of the writes of the last 10 s failed")]
    WritesFail,
}

/// How many recent writes were tried, and how many of them the database failed. Clones share it.
#[derive(Debug, Clone)]
pub struct Writes(Arc<Mutex<Window>>);

#[derive(Debug)]
struct Window {
    began: Instant,
    seconds: [Second; SECONDS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Second {
    number: u64,
    tried: u32,
    failed: u32,
}

impl Default for Writes {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Window { began: Instant::now(), seconds: [Second::default(); SECONDS] })))
    }
}

impl Writes {
    /// Counts a write.
    pub(super) fn add<T>(&self, outcome: &Result<T, ServiceError>) {
        let failed = match outcome {
            Err(ServiceError::Overloaded) => return, // it was not tried
            Err(ServiceError::Unavailable(_) | ServiceError::Fault(_)) => 1,
            _ => 0,
        };
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = window.began.elapsed().as_secs();
        let second = &mut window.seconds[usize::try_from(number).unwrap_or_default() % SECONDS];
        if second.number != number {
            *second = Second { number, ..Second::default() };
        }
        second.tried += 1;
        second.failed += failed;
    }

    fn mostly_fail(&self) -> bool {
        let window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = window.began.elapsed().as_secs();
        let recent = window.seconds.iter().filter(|second| now - second.number < SECONDS as u64);
        let (tried, failed) = recent.fold((0, 0), |(tried, failed), s| (tried + s.tried, failed + s.failed));
        tried >= FEWEST && failed * 2 > tried
    }
}

/// The last result of a probe and its time. Clones share it.
pub type Found = Arc<tokio::sync::Mutex<Option<(Instant, Result<(), NotReady>)>>>;

/// How long a result is reused, so that frequent probes do not load the database.
const FRESH: Duration = Duration::from_millis(250);

/// Whether writes succeed: the database takes one, and most of the last ones were done.
pub async fn ready(ctx: &Context) -> Result<(), NotReady> {
    let mut found = ctx.readiness.lock().await; // concurrent probes share one check
    if let Some((at, ready)) = &*found
        && at.elapsed() < FRESH
    {
        return ready.clone();
    }
    let ready = look(ctx).await;
    let was_ready = found.as_ref().is_none_or(|(_, ready)| ready.is_ok());
    match &ready {
        Ok(()) if !was_ready => tracing::info!("ready again"),
        Err(reason) if was_ready => tracing::warn!(%reason, "not ready"),
        _ => {}
    }
    *found = Some((Instant::now(), ready.clone()));
    ready
}

async fn look(ctx: &Context) -> Result<(), NotReady> {
    match ctx.db.run(PATIENCE, async |conn| store::health::may_write(conn).await).await {
        Ok(()) | Err(StoreError::Overloaded) => {} // that is no state of the database
        Err(error) => {
            let reason = error.reported().map_or(NotReady::Away, NotReady::RefusesWrites);
            ctx.failures.add(&error.into());
            return Err(reason);
        }
    }
    if ctx.writes.mostly_fail() { Err(NotReady::WritesFail) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn writes_mostly_fail_when_more_than_half_of_ten_did_in_the_last_ten_seconds() {
        let writes = Writes::default();
        let failure = || Err::<(), _>(ServiceError::Unavailable(None));
        (0..4).for_each(|_| writes.add(&Ok(())));
        (0..5).for_each(|_| writes.add(&failure()));
        assert!(!writes.mostly_fail(), "they are few");
        (0..50).for_each(|_| writes.add(&Err::<(), _>(ServiceError::Overloaded)));
        assert!(!writes.mostly_fail(), "those were not tried");

        writes.add(&failure());
        assert!(writes.mostly_fail());
        writes.add(&Ok(()));
        writes.add(&Err::<(), _>(ServiceError::RoomNotFound));
        assert!(!writes.mostly_fail());

        (0..20).for_each(|_| writes.add(&failure()));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(writes.mostly_fail());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!writes.mostly_fail());
    }
}
