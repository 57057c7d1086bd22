//! One operation, with so many who ask for it at once: pgbench and the service in turn.

use std::time::Duration;

use crate::args::Args;
use crate::load::{self, Run};
use crate::operation::Operation;
use crate::pgbench::{self, Until};
use crate::processes::Result;
use crate::requests;
use crate::setup::Setup;
use crate::spread::{Spread, median};
use crate::usage::Usage;

/// What was measured of an operation.
pub struct Cell {
    pub operation: Operation,
    pub connections: usize,
    /// Requests a second.
    pub service: Spread,
    /// Transactions a second.
    pub pgbench: Spread,
    /// In microseconds, as all that follow.
    pub p50: f64,
    pub p99: f64,
    /// CPU of a request.
    pub service_cpu: f64,
    pub postgres_cpu: f64,
    pub client_cpu: f64,
    /// Why the figures are not to be trusted.
    pub trouble: Option<String>,
}

impl Cell {
    pub fn ratio(&self) -> f64 {
        self.service.median / self.pgbench.median
    }
}

/// The service may answer so many times what pgbench does, as requests in flight can share a statement: there are
/// requests for that in the first run.
const LIKELY: f64 = 4.0;
/// In the other runs there are so many for each that was answered in the one before, or as many as pgbench does.
const MORE: f64 = 1.5;
/// Those that may come again are no more than this.
const DIFFERENT: usize = 100_000;
/// So many rooms each client of pgbench deletes to see how quick it is.
const TRIAL: i64 = 50;

pub async fn measure(setup: &mut Setup, args: &Args, operation: Operation, connections: usize) -> Result<Cell> {
    let mut deletes = TRIAL;
    if operation == Operation::Delete {
        let rate = limit(setup, args, operation, connections, deletes).await?;
        deletes = (rate * args.duration().as_secs_f64() / connections as f64) as i64 + 1;
    }
    let mut limits = vec![limit(setup, args, operation, connections, deletes).await?];
    let mut likely = limits[0] * LIKELY;
    let (mut runs, mut usages) = (Vec::new(), Vec::new());
    for _ in 0..args.repeats {
        let (run, usage) = run(setup, operation, connections, args.duration(), likely).await?;
        likely = limits[0].max(run.per_second() * MORE);
        limits.push(limit(setup, args, operation, connections, deletes).await?);
        runs.push(run);
        usages.push(usage);
    }
    if operation == Operation::Delete {
        setup.rooms.clear_doomed().await?;
    }

    let each = |figure: &dyn Fn(&Run) -> f64| runs.iter().map(figure).collect::<Vec<_>>();
    let cpu = |figure: &dyn Fn(&Usage) -> Duration| {
        let of_each = runs.iter().zip(&usages).map(|(run, usage)| micros(figure(usage)) / run.answered() as f64);
        median(&of_each.collect::<Vec<_>>())
    };
    Ok(Cell {
        operation,
        connections,
        service: Spread::of(&each(&Run::per_second)),
        pgbench: Spread::of(&limits),
        p50: median(&each(&|run| run.percentile(0.50))),
        p99: median(&each(&|run| run.percentile(0.99))),
        service_cpu: cpu(&|usage| usage.service),
        postgres_cpu: cpu(&|usage| usage.postgres),
        client_cpu: cpu(&|usage| usage.client),
        trouble: trouble(&runs, args.duration()),
    })
}

/// What pgbench does; of the rooms to be deleted, so many for each client.
async fn limit(setup: &mut Setup, args: &Args, operation: Operation, clients: usize, deletes: i64) -> Result<f64> {
    let doomed = setup.prepare(operation, usize::try_from(deletes)? * clients).await?;
    let until = match operation {
        Operation::Delete => Until::Deleted { first: doomed, each: deletes },
        _ => Until::Seconds(args.seconds),
    };
    pgbench::rate(&setup.rooms, &setup.page, operation, clients, until)
}

/// What the service does, if it may answer so many requests a second, and what that takes.
async fn run(
    setup: &mut Setup,
    operation: Operation,
    connections: usize,
    duration: Duration,
    likely: f64,
) -> Result<(Run, Usage)> {
    let likely = (likely * duration.as_secs_f64()) as usize + connections;
    let count = if operation.writes() { likely } else { likely.min(DIFFERENT) };
    let doomed = setup.prepare(operation, count).await?;
    let requests = requests::signed(&setup.service, &setup.rooms, &setup.page, operation, count, doomed)?;
    let before = Usage::of(setup)?;
    let run = if operation.writes() {
        load::once(setup.service.address, &requests, connections, duration).await
    } else {
        load::run(setup.service.address, &requests, connections, duration).await
    };
    Ok((run, Usage::of(setup)? - before))
}

fn trouble(runs: &[Run], duration: Duration) -> Option<String> {
    runs.iter().find_map(|run| {
        let short = || (run.took < duration / 2).then(|| format!("the requests were used up after {:.1?}", run.took));
        run.trouble().or_else(short)
    })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
