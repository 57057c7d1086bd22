//! A million rooms that are over, beside live traffic: how quickly they are swept, and what of it is felt. Run by
//! `script/bench sweep`; prints one table. `--rooms N` for another number, `--seconds N` for how long each run lasts,
//! `--rate N` for so many requests a second in place of half of what can be answered.

#[path = "../shared/asks.rs"]
mod asks;
#[path = "../shared/exchange.rs"]
mod exchange;
#[path = "../shared/flags.rs"]
mod flags;
mod idle;
#[path = "../shared/load.rs"]
mod load;
#[path = "../shared/machine.rs"]
mod machine;
#[path = "../shared/pace.rs"]
mod pace;
#[path = "../shared/postgres.rs"]
mod postgres;
#[path = "../shared/processes.rs"]
mod processes;
mod rooms;
#[path = "../shared/signing.rs"]
mod signing;
#[path = "../shared/table.rs"]
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use flags::flag;
use machine::machine;
use pace::{Paced, pace};
use postgres::Postgres;
use processes::{Result, Service, roomkeeper};
use rooms::{FIRST_LIVE, Rooms};
use signing::Signer;
use table::{Delays, row};

const LIVE: i64 = 100_000;
/// What little there is at first.
const FEW: i64 = 10_000;
const CONNECTIONS: usize = 16;
/// More requests than can be answered in a second, half of them creates.
const MOST_PER_SECOND: usize = 16_000;
/// How long it is measured what can be answered.
const SATURATED: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
/// Until a service that was just started has its connections.
const WARM_UP: Duration = Duration::from_secs(1);
const SWEEPING: [(&str, &str); 1] = [("ROOMKEEPER_SWEEP_INTERVAL", "100ms")];
/// So much more may the slowest hundredth take beside the sweeper.
const CEILING: f64 = 1.5;

fn main() -> Result<()> {
    let (ended, seconds, rate) = (flag("--rooms", 1_000_000)?, flag("--seconds", 30)?, flag("--rate", 0.0)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("rkbench").tempdir_in("/tmp")?;
    processes::open_to_all(folder.path())?;
    runtime.block_on(measure(folder.path(), ended, Duration::from_secs(seconds), rate))
}

async fn measure(folder: &Path, ended: i64, each: Duration, rate: f64) -> Result<()> {
    println!("{ended} rooms that are over, {LIVE} that are not, {each:?} a run; {}\n", machine()?);
    table::head();
    let postgres = Postgres::start(folder)?;
    drop(Service::start(folder, Some(&postgres.url), &[])?); // makes the schema
    let rooms = Rooms(&postgres.url);
    rooms.add_ended(0, FEW).await?;
    idle::measure(&rooms, &format!("a tick with nothing due, among {FEW} rooms")).await?;
    rooms.add_ended(FEW, ended).await?;
    idle::measure(&rooms, &format!("a tick with nothing due, among {ended} rooms")).await?;
    rooms.add_live(LIVE).await?;

    let rate =
        if rate > 0.0 { rate } else { saturated(&Service::start(folder, Some(&postgres.url), &[])?).await? / 2.0 };
    row("gets and creates, half each", rate, "/s", None);
    let (mut quiet, mut busy) = (Measured::default(), Measured::default());
    // In turn, so that what else the machine does slows both. What has lain in its memory for half a minute, the kernel
    // writes to the disk, which holds up commits for a tenth of a second: that comes once in each round of thirty seconds.
    for _ in 0..ROUNDS {
        quiet.round(folder, &rooms, &[], rate, each).await?;
        busy.round(folder, &rooms, &SWEEPING, rate, each).await?;
    }
    print("without the sweeper", &quiet.paced, None);
    print("beside the sweeper", &busy.paced, Some(&quiet.paced));
    row("    rooms swept", busy.swept_per_second(), "/s", None);
    row("    resident at most", busy.resident_kib as f64 / 1024.0, "MiB", None);
    let mut alone = Measured::default();
    alone.round(folder, &rooms, &SWEEPING, 0.0, each / 3).await?;
    row("rooms swept by a service without traffic", alone.swept_per_second(), "/s", None);

    let (before, began) = (rooms.deleted().await?, Instant::now());
    let mut command = roomkeeper(&folder.join("command"));
    let status = command.arg("sweep").env("ROOMKEEPER_DATABASE_URL", &postgres.url).status()?;
    let took = began.elapsed().as_secs_f64();
    let left = (rooms.deleted().await? - before) as f64;
    row("rooms swept by `roomkeeper sweep`, which does not rest", left / took, "/s", None);
    row("    of them there were", left, "", None);
    idle::measure(&rooms, "a tick with nothing due, right after that").await?;
    let failed = quiet.paced.failed + busy.paced.failed;
    if failed == 0 && status.success() { Ok(()) } else { Err(format!("not to be trusted: {failed} failed").into()) }
}

/// What a service did, over its rounds.
#[derive(Default)]
struct Measured {
    paced: Paced,
    swept: i64,
    took: Duration,
    resident_kib: u64,
}

impl Measured {
    /// Starts a service, and has it answer so many requests a second, or none.
    async fn round(
        &mut self,
        folder: &Path,
        rooms: &Rooms<'_>,
        settings: &[(&str, &str)],
        rate: f64,
        duration: Duration,
    ) -> Result<()> {
        let before = rooms.deleted().await?;
        let service = Service::start(folder, Some(rooms.0), settings)?;
        let began = Instant::now();
        if rate > 0.0 {
            let signer = Signer::new(&service)?;
            let run = |duration| pace(service.address, rate, duration, |n| request(&signer, n));
            self.paced.failed += run(WARM_UP).failed;
            self.paced.add(run(duration));
        } else {
            tokio::time::sleep(duration).await;
        }
        self.took += began.elapsed();
        self.resident_kib = self.resident_kib.max(service.memory_kib("VmRSS")?);
        drop(service);
        self.swept += rooms.deleted().await? - before;
        Ok(())
    }

    fn swept_per_second(&self) -> f64 {
        self.swept as f64 / self.took.as_secs_f64()
    }
}

/// What the service answers at most, a second.
async fn saturated(service: &Service) -> Result<f64> {
    let signer = Signer::new(service)?;
    let requests: Vec<_> = (0..MOST_PER_SECOND * 5).map(|n| request(&signer, n).1).collect();
    let run = load::run(service.address, &requests, CONNECTIONS, SATURATED).await;
    if run.failed > 0 || run.came_round {
        return Err(format!("{} requests failed, or there were too few", run.failed).into());
    }
    Ok(run.per_second())
}

/// Gets and creates, in turn.
fn request(signer: &Signer, n: usize) -> (&'static str, Vec<u8>) {
    if n.is_multiple_of(2) { asks::get(signer, FIRST_LIVE + n as i64 * 7_919 % LIVE) } else { asks::create(signer) }
}

fn print(what: &str, measured: &Paced, beside: Option<&Paced>) {
    for (name, millis) in &measured.millis {
        let ceiling = beside.map(|quiet| (quiet.percentile(name, 0.99) * CEILING * 100.0).round() / 100.0);
        Delays(millis.clone()).print(&format!("{name} {what}"), "ms", ceiling);
    }
}
