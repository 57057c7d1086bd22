//! A request that comes alone: how much longer it takes than its statement.

use std::time::Duration;

use crate::args::Args;
use crate::load;
use crate::operation::Operation;
use crate::pgbench;
use crate::processes::Result;
use crate::requests;
use crate::setup::Setup;
use crate::spread::median;

/// The medians of an operation on one connection, in microseconds.
pub struct Alone {
    pub operation: Operation,
    pub service: f64,
    pub pgbench: f64,
    pub trouble: Option<String>,
}

pub const OPERATIONS: [Operation; 3] = [Operation::Get, Operation::Create3, Operation::Patch1];
/// Longer runs tell nothing more.
const MOST_SECONDS: u32 = 2;

pub async fn measure(setup: &mut Setup, args: &Args, operation: Operation) -> Result<Alone> {
    let seconds = args.seconds.min(MOST_SECONDS);
    let duration = Duration::from_secs(seconds.into());
    let (mut service, mut pgbench, mut trouble) = (Vec::new(), Vec::new(), None);
    for _ in 0..args.repeats {
        setup.prepare(operation, 0).await?;
        let bare = pgbench::median_micros(&setup.rooms, &setup.page, operation, seconds)?;
        // More than can be asked for, as a request takes longer than its statement.
        let count = (duration.as_micros() as f64 / bare * 2.0) as usize;
        setup.prepare(operation, 0).await?;
        let requests = requests::signed(&setup.service, &setup.rooms, &setup.page, operation, count, 0)?;
        let run = load::once(setup.service.address, &requests, 1, duration).await;
        service.push(run.percentile(0.5));
        pgbench.push(bare);
        trouble = trouble.or(run.trouble());
    }
    Ok(Alone { operation, service: median(&service), pgbench: median(&pgbench), trouble })
}
