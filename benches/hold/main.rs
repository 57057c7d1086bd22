//! Measures how much memory and time attackers can cost the service, and how its other clients fare. Run by
//! `script/bench hold`; prints a table with a row for each attack. `script/bench hold unread places` runs only these
//! two.

#[path = "../shared/asks.rs"]
mod asks;
mod attacks;
mod bystanders;
#[path = "../shared/client.rs"]
mod client;
mod control;
mod cores;
#[path = "../shared/exchange.rs"]
mod exchange;
#[path = "../shared/machine.rs"]
mod machine;
#[path = "../shared/pace.rs"]
mod pace;
#[path = "../shared/processes.rs"]
mod processes;
mod report;
#[path = "../shared/signing.rs"]
mod signing;
#[path = "../shared/socket.rs"]
mod socket;
mod target;
mod wire;

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::Duration;

use attacks::{ATTACKS, Attack};
use bystanders::{RATE, Watched};
use cores::Cores;
use machine::machine;
use processes::{Result, Service};
use report::Row;
use target::Target;

/// Requests before anything is measured, as the first ones fill the service's own buffers.
const WARM_UP: Duration = Duration::from_secs(3);
/// After an attack, until what is left of it is read.
const AFTER: Duration = Duration::from_secs(10);
/// How long the attack lasts that others are compared with.
const CONTROL: Duration = Duration::from_secs(5);

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|name| !ATTACKS.iter().any(|attack| attack.name == *name)) {
        let names: Vec<&str> = ATTACKS.iter().map(|attack| attack.name).collect();
        return Err(format!("there is no {unknown}, but {}", names.join(", ")).into());
    }
    roomkeeper::cli::open_files::raise()?;
    let machine = machine()?;
    let cores = Cores::share()?; // before there is any thread or process: they inherit it
    let folder = tempfile::Builder::new().prefix("rkbench").tempdir_in("/tmp")?;
    processes::open_to_all(folder.path())?;

    println!("{RATE} gets a second and a listener beside each attack; {cores}; {machine}\n");
    report::head();
    for attack in ATTACKS.iter().filter(|attack| wanted.is_empty() || wanted.iter().any(|name| name == attack.name)) {
        measure(attack, cores, folder.path())?.print();
    }
    Ok(())
}

/// Measures an attack on a service that was just started: what an earlier one left would count as its own.
fn measure<'a>(attack: &'a Attack, cores: Cores, folder: &Path) -> Result<Row<'a>> {
    let log = folder.join("log");
    let settings = [attack.settings, &[("ROOMKEEPER_TLS_LISTEN", "127.0.0.1:0")]].concat();
    let service = Service::start_logged(folder, &settings, File::create(&log)?)?;
    let target = Target::prepare(&service)?;
    let logged = || Ok::<_, std::io::Error>(fs::metadata(&log)?.len());

    bystanders::gets(&target, WARM_UP);
    let (before, logged_before) = (target.resident_mib()?, logged()?);
    let Watched { outcome, worst, gets, probe_ms, listener } = bystanders::watch(attack, &target, cores)?;
    let log_rate = (logged()? - logged_before) as f64 / attack.span.as_secs_f64();
    thread::sleep(AFTER);
    let after = target.resident_mib()?;

    let rate = outcome.sent as f64 / attack.span.as_secs_f64();
    let (beside_refusals, refused_rate) = control::gets_beside_refusals(&target, cores, rate, CONTROL)?;
    Ok(Row {
        attack,
        outcome,
        before,
        worst,
        after,
        gets,
        beside_refusals,
        rate,
        refused_rate,
        probe_ms,
        listener,
        log_rate,
    })
}
