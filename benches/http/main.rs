//! How fast the service is, beside what its database does with the same SQL and nothing in front (design, section 7).
//! Run by `script/bench http`, which prints a document in Markdown, and on stderr how far it is.

mod alone;
mod args;
#[path = "../shared/cpu.rs"]
mod cpu;
mod document;
#[path = "../shared/exchange.rs"]
mod exchange;
mod goals;
mod half;
#[path = "../shared/load.rs"]
mod load;
#[path = "../shared/machine.rs"]
mod machine;
mod measure;
mod operation;
mod pages;
mod pgbench;
#[path = "../shared/postgres.rs"]
mod postgres;
#[path = "../shared/processes.rs"]
mod processes;
mod report;
mod requests;
mod rooms;
mod setup;
#[path = "../shared/signing.rs"]
mod signing;
mod spread;
#[path = "../shared/starts.rs"]
mod starts;
mod usage;
mod users;

use std::fs;
use std::path::Path;

use args::Args;
use operation::Operation;
use processes::Result;
use report::Size;
use setup::Setup;

fn main() -> Result<()> {
    let args = Args::read();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ready = starts::starts(setup::folder()?.path(), 5)?;
    let mut troubles = Vec::new();
    let sizes = runtime.block_on(measure_all(&args, &mut troubles))?;
    let document = document::document(&args, ready, &sizes)?;
    print!("{document}");
    if !troubles.is_empty() {
        return Err(format!("not to be trusted: {}", troubles.join("; ")).into());
    }
    if args.write {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md"), document)?;
    }
    Ok(())
}

/// Measures all that is asked for. What is asked of few rooms is asked of many right after: so they are compared while
/// the machine is as quick.
async fn measure_all(args: &Args, troubles: &mut Vec<String>) -> Result<Vec<Size>> {
    let mut setups = Vec::new();
    for rooms in &args.rooms {
        eprintln!("{rooms} rooms: filling in");
        setups.push(Setup::start(*rooms).await?);
    }
    let mut sizes: Vec<Size> = setups.iter().map(Size::new).collect();
    for operation in args.operations() {
        for connections in &args.connections {
            for (setup, size) in setups.iter_mut().zip(&mut sizes) {
                let cell = measure::measure(setup, args, operation, usize::from(*connections)).await?;
                let (rooms, name, rate, ratio) = (size.rooms, operation.name(), cell.service.median, cell.ratio());
                eprintln!("{rooms} rooms, {connections} connections, {name}: {rate:.0} a second, ratio {ratio:.2}");
                troubles.extend(cell.trouble.as_ref().map(|why| format!("{name}: {why}")));
                size.cells.push(cell);
            }
        }
    }
    for (setup, size) in setups.iter_mut().zip(&mut sizes) {
        measure_one_and_half(setup, args, size, troubles).await?;
        size.resident_after = setup.service.memory_kib("VmRSS")?;
    }
    Ok(sizes)
}

/// Measures requests that come alone, and those at half of the rate.
async fn measure_one_and_half(
    setup: &mut Setup,
    args: &Args,
    size: &mut Size,
    troubles: &mut Vec<String>,
) -> Result<()> {
    for operation in alone::OPERATIONS.into_iter().filter(|operation| args.wants(*operation)) {
        let measured = alone::measure(setup, args, operation).await?;
        troubles.extend(measured.trouble.as_ref().map(|why| format!("{} alone: {why}", operation.name())));
        size.alone.push(measured);
    }
    // The last is that of the most connections.
    let most = |of: Operation| size.cells.iter().rfind(|cell| cell.operation == of && cell.trouble.is_none());
    for saturated in half::OPERATIONS.into_iter().filter_map(most) {
        let measured = half::measure(setup, args, saturated).await?;
        let name = measured.operation.name();
        troubles.extend(measured.trouble.as_ref().map(|why| format!("{name} at half of the rate: {why}")));
        size.half.push(measured);
    }
    Ok(())
}
