//! Deletes what is over (design, section 5): rooms whose window plus grace has passed, answers past their time, old keys.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use crate::service::rooms::BATCH;
use crate::service::rooms::Deleted;
use crate::service::{self, Context, ServiceError, clocks};

/// Beside requests, the sweeper rests after each batch, so many times as long as the batch took: what it takes of the
/// database is a twentieth, and less when that is busy. With a fifth, a create took 1.4 times as long beside it, now 1.1
/// (docs/benchmarks-more.md). It deletes hundreds of rooms a second all the same, tens of millions a day.
const REST: u32 = 19;
const LONGEST_REST: Duration = Duration::from_secs(5);
/// The part of an interval by which replicas that started together drift apart.
const JITTER: f64 = 0.1;

/// What one tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    pub rooms: u64,
    /// Remembered answers to creates.
    pub answers: u64,
    /// Keys that no living token is signed with.
    pub keys: u64,
    /// For how long the room that was due first had been due.
    pub behind: Option<TimeDelta>,
}

/// Why nothing is deleted.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// One of the clocks is wrong, and it can't be known which.
    #[error(
        "the clock of this machine and that of the database differ by {} s: nothing is deleted until they agree; set the clock that is wrong",
        .0.num_seconds().abs()
    )]
    Skew(TimeDelta),
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Deletes every room that was over for `grace` by both clocks, the longest over first, and every answer past
/// its time. Replicas share the work; a room that is extended at that moment is kept. Ends between
/// batches when `stop` is cancelled.
///
/// # Errors
/// The clocks differ by more than a minute, or the database is not available.
pub async fn tick(ctx: &Context, grace: TimeDelta, stop: &CancellationToken) -> Result<Swept, SweepError> {
    sweep(ctx, agreed(ctx).await?, grace, 0, stop).await
}

/// The time that both clocks say is reached.
async fn agreed(ctx: &Context) -> Result<DateTime<Utc>, SweepError> {
    let both = clocks::read(ctx).await?;
    both.agreed().ok_or_else(|| SweepError::Skew(both.skew()))
}

async fn sweep(
    ctx: &Context,
    now: DateTime<Utc>,
    grace: TimeDelta,
    rest: u32,
    stop: &CancellationToken,
) -> Result<Swept, SweepError> {
    let end = now - grace;
    // Each is tried, also if another fails.
    let rooms = batches(rest, stop, async |from| service::rooms::sweep(ctx, from, end).await).await;
    let answers = batches(rest, stop, async |from| service::rooms::sweep_answers(ctx, from, now).await).await;
    let keys = service::keys::sweep_signing_keys(ctx, now).await?;
    let (rooms, answers) = (rooms?, answers?);
    Ok(Swept { rooms: rooms.count, answers: answers.count, keys, behind: rooms.oldest_end.map(|oldest| end - oldest) })
}

/// Deletes batch after batch, each a transaction of its own, until one is not whole. Each is looked for where the one
/// before began: what was deleted earlier, and stands in the index until it is vacuumed, is not stepped over again and
/// again; and what the last one deleted is, once, by which Postgres marks it. What somebody held is left behind, for
/// the next tick.
async fn batches(
    rest: u32,
    stop: &CancellationToken,
    delete: impl AsyncFn(DateTime<Utc>) -> Result<Deleted, ServiceError>,
) -> Result<Deleted, ServiceError> {
    let mut swept = Deleted::default();
    let mut from = DateTime::UNIX_EPOCH; // nothing ended earlier
    while !stop.is_cancelled() {
        let began = Instant::now();
        let Deleted { count, oldest_end } = delete(from).await?;
        swept.count += count;
        swept.oldest_end = swept.oldest_end.or(oldest_end);
        from = oldest_end.unwrap_or(from);
        if count < u64::from(BATCH) {
            break;
        }
        if rest > 0 {
            stop.run_until_cancelled(tokio::time::sleep((began.elapsed() * rest).min(LONGEST_REST))).await;
        }
    }
    Ok(swept)
}

/// What [`tick`] would delete.
///
/// # Errors
/// Those of [`tick`].
pub async fn due(ctx: &Context, grace: TimeDelta) -> Result<Swept, SweepError> {
    let now = agreed(ctx).await?;
    let (Deleted { count, oldest_end }, answers) = service::rooms::due(ctx, now - grace, now).await?;
    let keys = service::keys::due_signing_keys(ctx, now).await?;
    Ok(Swept { rooms: count, answers, keys, behind: oldest_end.map(|end| now - grace - end) })
}

/// Takes a tick every `interval`, with rests, the first one soon after the start, until `stop` is cancelled. A
/// tick that fails is logged; the next one takes up its work.
pub async fn run(ctx: Context, interval: Duration, grace: TimeDelta, stop: CancellationToken) {
    let jittered = || interval.mul_f64(1.0 + rand::rng().random_range(-JITTER..=JITTER));
    let mut pause = jittered().min(Duration::from_secs(1));
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let began = Instant::now();
        // Told to stop, it does not wait for a batch either: what is not committed is not done.
        let sweep = async { sweep(&ctx, agreed(&ctx).await?, grace, REST, &stop).await };
        let Some(ticked) = stop.run_until_cancelled(sweep).await else { return };
        match ticked {
            Ok(swept) if swept == Swept::default() => tracing::debug!("nothing to sweep"),
            Ok(Swept { rooms, answers, keys, behind }) => tracing::info!(
                rooms,
                answers,
                keys,
                took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                behind_s = behind.map_or(0, |behind| behind.num_seconds()),
                "swept"
            ),
            Err(error @ SweepError::Skew(_)) => tracing::error!(%error, "the sweeper refuses"),
            Err(SweepError::Service(error)) => error.log("the sweep failed, and is tried again"),
        }
        pause = jittered();
    }
}
