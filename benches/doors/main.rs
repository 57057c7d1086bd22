//! How soon who is removed from a room is told nothing more, and what it costs to be let in. Run by
//! `script/bench doors`; prints one table.

mod attaches;
mod backend;
#[path = "../shared/client.rs"]
mod client;
#[path = "../shared/exchange.rs"]
mod exchange;
#[path = "../shared/machine.rs"]
mod machine;
#[path = "../shared/postgres.rs"]
mod postgres;
#[path = "../shared/processes.rs"]
mod processes;
mod removals;
#[path = "../shared/signing.rs"]
mod signing;
#[path = "../shared/socket.rs"]
mod socket;
#[path = "../shared/table.rs"]
mod table;

use std::fs;
use std::path::Path;

use machine::machine;
use postgres::Postgres;
use processes::{Result, Service};
use table::row;

use attaches::ATTACHES;
use removals::{EVERY, REMOVALS, Removals};

/// More than is said here: with the usual rates, most of it would be refused.
const SETTINGS: [(&str, &str); 2] = [("ROOMKEEPER_ROOM_RATE", "1000"), ("ROOMKEEPER_CONNECTION_RATE", "1000")];

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("rkbench").tempdir_in("/tmp")?;
    processes::open_to_all(folder.path())?;
    runtime.block_on(measure(folder.path()))
}

async fn measure(folder: &Path) -> Result<()> {
    println!(
        "{REMOVALS} removals from a room where somebody speaks every {EVERY:?}, {ATTACHES} attaches; {}\n",
        machine()?
    );
    table::head();

    let postgres = Postgres::start(folder)?;
    let one = replica(&postgres, &folder.join("one"))?;
    attaches::measure(&one).await?;

    let what = "removal acknowledged, to the last that the removed is told";
    print(removals::measure(&one, &one).await?, what, 100.0);
    let other = replica(&postgres, &folder.join("other"))?;
    print(removals::measure(&one, &other).await?, "  through another replica", 500.0);
    row("resident, after that", other.memory_kib("VmRSS")? as f64 / 1024.0, "MiB", None);
    Ok(())
}

/// A service with a folder of its own, over the database that all share.
fn replica(postgres: &Postgres, folder: &Path) -> Result<Service> {
    fs::create_dir(folder)?;
    Service::start(folder, Some(&postgres.url), &SETTINGS)
}

fn print(mut measured: Removals, what: &str, ceiling: f64) {
    measured.delays.print(what, "ms", Some(ceiling));
    row("    let in, acknowledged, and told to be outside", measured.refused as f64, "", Some(0.0));
}
