//! Deletes what is over (design, section 5): rooms whose window plus grace has passed, answers past their time, old keys.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

use crate::service::rooms::SweptRooms;
use crate::service::{self, Context, ServiceError};

/// So many at once, each batch a transaction of its own.
pub const BATCH: u32 = 500;
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

/// Deletes every room that was over by `now - grace`, the longest over first, and every answer past
/// its time. Replicas share the work; a room that is extended at that moment is kept. Ends between
/// batches when `stop` is cancelled.
pub async fn tick(
    ctx: &Context,
    now: DateTime<Utc>,
    grace: TimeDelta,
    stop: &CancellationToken,
) -> Result<Swept, ServiceError> {
    let mut swept = Swept::default();
    while !stop.is_cancelled() {
        let SweptRooms { count, oldest_end } = service::rooms::sweep(ctx, now - grace, BATCH).await?;
        swept.rooms += count;
        swept.behind = swept.behind.or(oldest_end.map(|end| now - grace - end));
        if count < u64::from(BATCH) {
            break;
        }
    }
    while !stop.is_cancelled() {
        let count = service::rooms::sweep_answers(ctx, now, BATCH).await?;
        swept.answers += count;
        if count < u64::from(BATCH) {
            break;
        }
    }
    swept.keys = service::keys::sweep_signing_keys(ctx, now).await?;
    Ok(swept)
}

/// What [`tick`] would delete.
pub async fn due(ctx: &Context, now: DateTime<Utc>, grace: TimeDelta) -> Result<Swept, ServiceError> {
    let (SweptRooms { count, oldest_end }, answers) = service::rooms::due(ctx, now - grace, now).await?;
    let keys = service::keys::due_signing_keys(ctx, now).await?;
    Ok(Swept { rooms: count, answers, keys, behind: oldest_end.map(|end| now - grace - end) })
}

/// Takes a tick every `interval`, the first one soon after the start, until `stop` is cancelled. A
/// tick that fails is logged; the next one takes up its work.
pub async fn run(ctx: Context, interval: Duration, grace: TimeDelta, stop: CancellationToken) {
    let jittered = || interval.mul_f64(1.0 + rand::rng().random_range(-JITTER..=JITTER));
    let mut pause = jittered().min(Duration::from_secs(1));
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let began = tokio::time::Instant::now();
        // Told to stop, it does not wait for a batch either: what is not committed is not done.
        let Some(ticked) = stop.run_until_cancelled(tick(&ctx, ctx.clock.now(), grace, &stop)).await else { return };
        match ticked {
            Ok(swept) if swept == Swept::default() => tracing::debug!("nothing to sweep"),
            Ok(Swept { rooms, answers, keys, behind }) => tracing::info!(
                rooms,
                answers,
                keys,
                took_ms = began.elapsed().as_millis(),
                behind_s = behind.map_or(0, |behind| behind.num_seconds()),
                "swept"
            ),
            Err(error) => tracing::error!(error = ?error, "the sweep failed, and is tried again"),
        }
        pause = jittered();
    }
}
