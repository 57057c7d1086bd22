//! What a tick of the sweeper costs that finds nothing to do.

use std::time::Instant;

use chrono::TimeDelta;
use roomkeeper::clock::Clock;
use roomkeeper::jobs::sweeper;
use roomkeeper::service::Context;
use roomkeeper::store::pool;
use tokio_util::sync::CancellationToken;

use crate::processes::Result;
use crate::rooms::Rooms;
use crate::table::row;

const TICKS: usize = 200;

/// Prints the median time, and the buffers that are looked at.
pub async fn measure(rooms: &Rooms<'_>, what: &str) -> Result<()> {
    let ctx = Context::new(pool::pool(pool::options_from_url(rooms.0)?), Clock::system(), 0, 0);
    let grace = TimeDelta::days(1_000); // nothing ended so long ago
    let tick = async || -> Result<f64> {
        let began = Instant::now();
        sweeper::tick(&ctx, grace, &CancellationToken::new()).await?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    };
    let first = tick().await?;
    let before = rooms.buffers().await?;
    let mut took = Vec::new();
    for _ in 0..TICKS {
        took.push(tick().await?);
    }
    ctx.db.close();
    let buffers = (rooms.buffers().await? - before) as f64 / TICKS as f64;
    took.sort_by(f64::total_cmp);
    row(what, took[TICKS / 2], "ms", None);
    row("    the first, which also connects", first, "ms", None);
    row("    buffers", buffers, "", None);
    Ok(())
}
