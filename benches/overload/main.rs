//! Offers more requests than the database or the processor takes, and measures what is answered all the same. Run by
//! `script/bench overload`, which prints a table; `disk-50`, `disk-500`, `gets`, `creates` or `many` behind it
//! prints a part.

#[path = "../shared/asks.rs"]
mod asks;
mod bare;
#[path = "../shared/client.rs"]
mod client;
#[path = "../hold/cores.rs"]
mod cores;
#[path = "../shared/cpu.rs"]
mod cpu;
mod disk;
#[path = "../shared/exchange.rs"]
mod exchange;
mod load;
#[path = "../shared/machine.rs"]
mod machine;
#[path = "../shared/processes.rs"]
mod processes;
mod report;
#[path = "../shared/signing.rs"]
mod signing;
#[path = "../shared/socket.rs"]
mod socket;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cores::Cores;
use disk::Disk;
use load::Load;
use processes::{Result, Service};
use report::{Ceilings, Row};
use signing::Signer;
use watch::Memory;

const CONNECTIONS: usize = 1_000;
/// Requests that wait for a slow disk are in flight for so long that more connections are needed to send the next ones.
const DISK_CONNECTIONS: usize = 3_000;
const MANY_CONNECTIONS: usize = 12_000;
/// How long each load lasts, how long a step of the search for the peak does, and until the service is back to normal.
const SPAN: Duration = Duration::from_secs(8);
const STEP: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(1);
/// More requests than are sent in a load; they come round.
const REQUESTS: usize = 60_000;
/// The part of the peak that is offered after a load.
const LITTLE: f64 = 0.2;
const DISK_LOADS: [f64; 5] = [0.5, 1.0, 2.0, 5.0, 10.0];
const CPU_LOADS: [f64; 4] = [0.5, 1.0, 1.5, 2.0];
/// Memory that 1,000 connections may take; what each further one may (docs/limits.md).
const MEMORY_MIB: f64 = 100.0;
const CONNECTION_MIB: f64 = 16.0 / 1024.0;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.iter().any(|arg| arg == bare::ARGUMENT) {
        return bare::serve();
    }
    let wants = |part: &str| args.is_empty() || args.iter().any(|arg| arg == part);
    roomkeeper::cli::open_files::raise()?;
    let machine = machine::machine()?;
    let cores = Cores::share()?; // the service and Postgres inherit it
    let folder = tempfile::Builder::new().prefix("rkbench").tempdir_in("/tmp")?;
    processes::open_to_all(folder.path())?;
    let disk = Disk::prepare(folder.path())?;
    let programs = disk.programs.display().to_string();
    let settings = [
        ("ROOMKEEPER_POSTGRES_BIN", programs.as_str()),
        ("ROOMKEEPER_MAX_SOCKETS_PER_ADDRESS", "off"),
        ("ROOMKEEPER_LOG", "error"),
    ];
    let service = Service::start(folder.path(), None, &settings)?;
    println!("The service and its Postgres share one core, clients have the other; {machine}.");

    let (is_over, memory) = (AtomicBool::new(false), Memory::default());
    let key: String = form_urlencoded::byte_serialize(service.says("ablyKey")?.as_bytes()).collect();
    let live = thread::scope(|scope| {
        scope.spawn(|| memory.watch(&service, &is_over));
        let live = scope.spawn(|| watch::live(&service, &key, &is_over).map_err(|error| error.to_string()));
        let measuring = scope.spawn(|| {
            let measured = measure(&service, &disk, cores, &memory, &wants).map_err(|error| error.to_string());
            is_over.store(true, Ordering::Relaxed);
            measured
        });
        let measured = measuring.join().unwrap_or_else(|_| Err("it panicked".to_owned()));
        let live = live.join().unwrap_or_else(|_| Err("it panicked".to_owned()));
        measured.map(|()| live)
    })?;
    match live {
        Ok(()) => println!("\nLive clients meanwhile: none was dropped, each was told all."),
        Err(error) => println!("\nLive clients meanwhile: *missed*: {error}"),
    }
    Ok(())
}

fn measure(service: &Service, disk: &Disk, cores: Cores, memory: &Memory, wants: &dyn Fn(&str) -> bool) -> Result<()> {
    cores.attack()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signer = Signer::new(service)?;
        let creates: Vec<Vec<u8>> = (0..REQUESTS).map(|_| create(&signer)).collect();
        let get = get(service, &signer).await?;
        let gets = vec![get.clone()];
        let price = bare::price(&gets).await?;
        println!("A refusal by a bare handler takes {:.1} µs of the core.\n", price * 1e6);
        report::head();
        for millis in [50, 500] {
            if wants(&format!("disk-{millis}")) {
                let mut load = Load::connect(service.address, DISK_CONNECTIONS, &get).await?;
                let commit = Duration::from_millis(millis);
                disk.slow_by(commit)?;
                let what = format!("creates, a flush takes {millis} ms more");
                let ceilings = Ceilings { p99: Some(2.0 * millis as f64 + 200.0), memory: MEMORY_MIB, price: None };
                series(&mut load, &what, &creates, &DISK_LOADS, &ceilings, memory).await?;
                disk.slow_by(Duration::ZERO)?;
            }
        }
        let ceilings = |memory| Ceilings { p99: None, memory, price: Some(price) };
        for (what, requests) in [("gets", &gets), ("creates", &creates)] {
            if wants(what) {
                let mut load = Load::connect(service.address, CONNECTIONS, &get).await?;
                series(&mut load, what, requests, &CPU_LOADS, &ceilings(MEMORY_MIB), memory).await?;
            }
        }
        if wants("many") {
            let mut load = Load::connect(service.address, MANY_CONNECTIONS, &get).await?;
            let more = (MANY_CONNECTIONS - CONNECTIONS) as f64 * CONNECTION_MIB;
            let what = "gets on 12,000 connections";
            series(&mut load, what, &gets, &CPU_LOADS, &ceilings(MEMORY_MIB + more), memory).await?;
        }
        Ok(())
    })
}

/// Finds the peak, and offers parts and multiples of it.
async fn series(
    load: &mut Load,
    what: &str,
    requests: &[Vec<u8>],
    loads: &[f64],
    ceilings: &Ceilings,
    memory: &Memory,
) -> Result<()> {
    let mut peak = 0.0_f64;
    let mut rate = 100.0;
    loop {
        let outcome = load.offer(rate, STEP, requests).await;
        peak = peak.max(outcome.goodput);
        if outcome.goodput < 0.8 * rate {
            break;
        }
        rate *= 1.6;
    }
    let capacity = peak;
    for times in loads {
        tokio::time::sleep(AFTER).await;
        memory.take();
        let outcome = load.offer(times * capacity, SPAN, requests).await;
        let resident = memory.take();
        peak = peak.max(outcome.goodput);
        tokio::time::sleep(AFTER).await;
        let after = load.offer(LITTLE * capacity, STEP, requests).await;
        Row { what, times: *times, outcome, resident, after, peak, ceilings }.print();
    }
    Ok(())
}

/// A create that is made anew each time that it is sent.
fn create(signer: &Signer) -> Vec<u8> {
    let body = r#"{"participants":{}}"#;
    signer.request("POST", &format!("/rooms?{}", asks::VERSION), "Content-Type: application/json\r\n", body)
}

/// A get of a room that is there.
async fn get(service: &Service, signer: &Signer) -> Result<Vec<u8>> {
    let mut stream = tokio::net::TcpStream::connect(service.address).await?;
    let (_, create) = asks::create(signer);
    let mut buffer = Vec::new();
    let (_, body) = exchange::exchange(&mut stream, &create, &mut buffer).await?;
    let made: serde_json::Value = serde_json::from_slice(body)?;
    let room = made["id"].as_str().ok_or_else(|| format!("no room: {made}"))?;
    Ok(asks::get(signer, room.parse()?).1)
}
