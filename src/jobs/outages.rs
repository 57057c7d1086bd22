//! Logs outages of the database and refusals under overload: a line when one begins, one each minute, and one when it has
//! ended.

use crate::service::Context;
use crate::service::outage::Counts;
use crate::telemetry::episode::{Episode, follow};

/// Logs both. Never returns.
pub async fn run(ctx: Context) {
    tokio::join!(follow_failures(&ctx), follow_refusals(&ctx));
}

async fn follow_failures(ctx: &Context) {
    follow(|| ctx.failures.take_counts(), |episode| log_failures(ctx, episode)).await;
}

fn log_failures(ctx: &Context, episode: Episode<Counts>) {
    let cause = ctx.failures.take_cause().map(|cause| cause.to_string());
    let (Episode::Begins(counts) | Episode::Lasts(counts) | Episode::Ends { all: counts, .. }) = episode;
    let Counts { lock, slow_statement, no_connection, queue, refused, other } = counts;
    let failed = counts.all();
    match episode {
        Episode::Ends { lasted, .. } => tracing::info!(
            seconds = lasted.as_secs(),
            failed,
            lock,
            slow_statement,
            no_connection,
            queue,
            refused,
            other,
            "the database is available again"
        ),
        _ => tracing::warn!(
            cause,
            failed,
            lock,
            slow_statement,
            no_connection,
            queue,
            refused,
            other,
            "the database is not available: requests are answered 503"
        ),
    }
}

async fn follow_refusals(ctx: &Context) {
    let log = |episode| match episode {
        Episode::Begins(refused) | Episode::Lasts(refused) => {
            tracing::warn!(refused, "requests are refused: more come than can be answered in time");
        }
        Episode::Ends { all, lasted } => {
            tracing::info!(refused = all, seconds = lasted.as_secs(), "no requests are refused any more");
        }
    };
    follow(|| ctx.refusals.take(), log).await;
}
