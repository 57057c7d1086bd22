//! How fast the service is, beside what its database does with the same SQL and nothing in front (design, section 7).
//! Run by `script/bench http`; prints one table.

#[path = "../shared/exchange.rs"]
mod exchange;
mod load;
mod pgbench;
#[path = "../shared/postgres.rs"]
mod postgres;
#[path = "../shared/processes.rs"]
mod processes;
mod requests;
#[path = "../shared/signing.rs"]
mod signing;
#[path = "../shared/starts.rs"]
mod starts;

use std::collections::BTreeMap;
use std::error::Error;

use pgbench::pgbench;
use postgres::Postgres;
use processes::Service;
use requests::Operation;
use starts::starts;

/// As many connections to the service as pgbench has to the database.
pub const CONNECTIONS: usize = 16;
/// How long each run lasts, in seconds.
pub const SECONDS: u64 = 5;
/// So many rooms there are before anything is measured.
pub const ROOMS: i64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("rkbench").tempdir_in("/tmp")?;
    processes::open_to_all(folder.path())?;

    let ready = starts(folder.path(), 5)?;
    let postgres = Postgres::start(folder.path())?;
    let service = Service::start(folder.path(), Some(&postgres.url), &[])?;
    let resource = runtime.block_on(requests::fill(&postgres.url))?;
    let idle = service.memory_kib("VmRSS")?;

    println!("{CONNECTIONS} connections, {ROOMS} rooms, {SECONDS} s a run; requests a second\n");
    println!("operation            service   pgbench    ratio   p50 ms   p99 ms");
    let mut failures = BTreeMap::new();
    for operation in Operation::ALL {
        let before = pgbench(&postgres.url, operation, resource)?;
        let requests = requests::signed(operation, &service)?;
        let run = runtime.block_on(load::run(&service, requests));
        let after = pgbench(&postgres.url, operation, resource)?;
        let limit = (before + after) / 2.0;
        println!(
            "{:<18} {:>9.0} {:>9.0} {:>8.2} {:>8.2} {:>8.2}",
            operation.name(),
            run.per_second(),
            limit,
            run.per_second() / limit,
            run.percentile(0.50),
            run.percentile(0.99),
        );
        if run.failed > 0 {
            failures.insert(operation.name(), format!("{} failed", run.failed));
        } else if run.came_round && operation.writes() {
            failures.insert(operation.name(), "there were too few requests".to_owned());
        }
    }
    println!("\nstart to ready on a folder that is there   {ready:.2} s");
    println!("resident, idle                             {:.1} MiB", idle as f64 / 1024.0);
    println!("resident, after the load                   {:.1} MiB", service.memory_kib("VmRSS")? as f64 / 1024.0);
    if failures.is_empty() { Ok(()) } else { Err(format!("not to be trusted: {failures:?}").into()) }
}
