//! The service beside what users would pick instead, in the same run and on the same operations. Run by
//! `script/bench peers`, which installs the others; prints one table, in Markdown.

mod connection;
mod ejabberd;
#[path = "../shared/exchange.rs"]
mod exchange;
mod fastify;
mod group;
#[path = "../shared/load.rs"]
mod load;
#[path = "../shared/machine.rs"]
mod machine;
mod ours;
mod peer;
mod pocketbase;
#[path = "../shared/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "how much memory it takes is asked of every peer alike, by `usage`")]
#[path = "../shared/processes.rs"]
mod processes;
mod report;
mod rooms;
#[path = "../shared/signing.rs"]
mod signing;
mod usage;

use std::fs;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use peer::{Kind, Operation, Peer};
use processes::Result;
use report::{Cell, Figures, Report};
use usage::usage;

/// Measures the service beside what users would pick instead.
#[derive(Debug, Parser)]
pub struct Args {
    /// Where `script/bench peers` has installed the others.
    #[arg(long)]
    installed: PathBuf,
    /// How many connections the clients have; each number is measured on a fresh database.
    #[arg(long, value_delimiter = ',', default_value = "16,64", value_parser = clap::value_parser!(u16).range(1..))]
    connections: Vec<u16>,
    /// How long each run lasts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// So many rooms there are before anything is measured.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(30..))]
    rooms: u32,
    /// Who is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::ALL)]
    peers: Vec<Kind>,
    /// Cargo says it to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Not measured: for who compiles while running, and for caches.
const WARM_UP: Duration = Duration::from_secs(1);
/// More than any peer writes a second: the same request twice would not be the same work.
const WRITES_PER_SECOND: usize = 16_000;
/// Of those that only read.
const READS: usize = 20_000;

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("rkbench").tempdir_in("/tmp")?;
    processes::open_to_all(folder.path())?;
    // What was started is ended by being dropped, also when a signal comes in between.
    runtime.block_on(async {
        tokio::select! {
            done = measure(&args, folder.path()) => done,
            stopped = stopped() => Err(stopped.err().unwrap_or_else(|| "stopped by a signal".into())),
        }
    })
}

/// Waits for a signal that asks to end, or for the end of who called: a signal may have reached only that one.
async fn stopped() -> Result<()> {
    let [mut interrupt, mut terminate, mut hangup] =
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];
    let caller = parent_id();
    let orphaned = async {
        while parent_id() == caller {
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        () = orphaned => {}
    }
    Ok(())
}

async fn measure(args: &Args, folder: &Path) -> Result<()> {
    let mut report = Report::default();
    for connections in &args.connections {
        for kind in &args.peers {
            eprintln!("{}, {connections} connections", kind.name());
            let folder = folder.join(format!("{}-{connections}", kind.name()));
            fs::create_dir(&folder)?;
            let figures = match kind.start(&args.installed, &folder, args.rooms).await {
                Ok(peer) => {
                    report.version(*kind, &peer.version);
                    all(args, &peer, *connections).await?
                }
                Err(error) => {
                    report.failed(*kind, &error.to_string());
                    Operation::ALL.map(|_| None)
                }
            };
            for (operation, figures) in Operation::ALL.into_iter().zip(figures) {
                report.cells.push(Cell { connections: *connections, operation, kind: *kind, figures });
            }
            fs::remove_dir_all(&folder)?;
        }
    }
    report.print(args)
}

/// One operation after the other.
async fn all(args: &Args, peer: &Peer, connections: u16) -> Result<[Option<Figures>; 4]> {
    let mut figures = Operation::ALL.map(|_| None);
    for (operation, figures) in Operation::ALL.into_iter().zip(&mut figures) {
        *figures = one(args, peer, operation, connections).await?;
    }
    Ok(figures)
}

async fn one(args: &Args, peer: &Peer, operation: Operation, connections: u16) -> Result<Option<Figures>> {
    let (duration, connections) = (Duration::from_secs(args.seconds), usize::from(connections));
    let (first, count) = match operation.writes() {
        true => (WRITES_PER_SECOND, WRITES_PER_SECOND * (1 + duration.as_secs() as usize)),
        false => (0, READS),
    };
    let Some(requests) = (peer.requests)(operation, count) else { return Ok(None) };
    let warm_up = load::run(peer.address, &requests, connections, WARM_UP).await;

    let processes =
        || Ok::<_, Box<dyn std::error::Error>>((usage(peer.service)?, peer.database.map(usage).transpose()?));
    let before = processes()?;
    let run = load::run(peer.address, &requests[first..], connections, duration).await;
    let after = processes()?;

    let answers = run.per_second() * duration.as_secs_f64();
    let cpu = |before: usage::Usage, after: usage::Usage| (after.cpu - before.cpu).as_secs_f64() * 1e6 / answers;
    Ok(Some(Figures {
        per_second: run.per_second(),
        p50: run.percentile(0.50) / 1_000.0,
        p99: run.percentile(0.99) / 1_000.0,
        cpu: (cpu(before.0, after.0), before.1.zip(after.1).map(|(before, after)| cpu(before, after))),
        resident: (after.0.mib(), after.1.map(usage::Usage::mib)),
        failed: warm_up.failed + run.failed,
        came_round: operation.writes() && answers > (requests.len() - first) as f64,
    }))
}
