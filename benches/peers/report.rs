//! The table, in Markdown, and under it what its rows stand for.

use std::collections::BTreeMap;

use crate::peer::{Kind, Operation};
use crate::processes::Result;
use crate::{Args, WARM_UP, machine::machine};

/// What a run measured. Of a pair, the first is the peer's, the second its database's.
pub struct Figures {
    pub per_second: f64,
    /// In milliseconds.
    pub p50: f64,
    pub p99: f64,
    /// In microseconds a request.
    pub cpu: (f64, Option<f64>),
    /// In MiB, after the load.
    pub resident: (f64, Option<f64>),
    pub failed: usize,
    /// There were too few requests: some were sent a second time.
    pub came_round: bool,
}

pub struct Cell {
    pub connections: u16,
    pub operation: Operation,
    pub kind: Kind,
    /// None where the peer has nothing like it, or does not run.
    pub figures: Option<Figures>,
}

#[derive(Default)]
pub struct Report {
    pub cells: Vec<Cell>,
    versions: BTreeMap<Kind, String>,
    failures: BTreeMap<Kind, String>,
}

impl Report {
    pub fn version(&mut self, kind: Kind, version: &str) {
        self.versions.insert(kind, version.to_owned());
    }

    pub fn failed(&mut self, kind: Kind, why: &str) {
        self.failures.insert(kind, why.to_owned());
    }

    /// Prints all of it.
    ///
    /// # Errors
    /// If a figure is not to be trusted, or a peer did not run.
    pub fn print(&self, args: &Args) -> Result<()> {
        let build = if cfg!(debug_assertions) { "without optimisation" } else { "with optimisation" };
        println!(
            "{}. {} rooms to begin with, {} s a run after {} s to warm up; one peer after the other, each on a fresh \
             database. Roomkeeper is built {build}.\n",
            machine()?,
            args.rooms,
            args.seconds,
            WARM_UP.as_secs()
        );
        println!(
            "| operation | connections | | requests/s | p50 ms | p99 ms | CPU µs a request | resident MiB | \
             acknowledged is on disk |\n|---|--:|---|--:|--:|--:|--:|--:|---|"
        );
        for operation in Operation::ALL {
            let mut rows: Vec<&Cell> = self.cells.iter().filter(|cell| cell.operation == operation).collect();
            rows.sort_by_key(|cell| cell.connections);
            rows.iter().for_each(|cell| println!("{}", row(cell)));
        }
        println!(
            "\nOf two figures with a plus, the second is the database's. What processes share is resident once.\n"
        );
        for kind in &args.peers {
            let version = self.versions.get(kind).map(|version| format!(" {version}")).unwrap_or_default();
            let failed = self.failures.get(kind).map(|why| format!(" n/a: {why}.")).unwrap_or_default();
            println!("- **{}{version}**:{failed} {}", kind.name(), kind.notes());
        }
        self.faults()
    }

    fn faults(&self) -> Result<()> {
        let mut faults: Vec<String> =
            self.failures.iter().map(|(kind, why)| format!("{}: {why}", kind.name())).collect();
        for cell in &self.cells {
            let what = format!("{}, {}, {}", cell.kind.name(), cell.operation.name(), cell.connections);
            match &cell.figures {
                Some(figures) if figures.failed > 0 => faults.push(format!("{what}: {} failed", figures.failed)),
                Some(figures) if figures.came_round => faults.push(format!("{what}: there were too few requests")),
                _ => {}
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ").into()) }
    }
}

fn row(cell: &Cell) -> String {
    let what = format!("| {} | {} | {} |", cell.operation.name(), cell.connections, cell.kind.name());
    let Some(figures) = &cell.figures else { return format!("{what} n/a | | | | | |") };
    let on_disk = if cell.operation.writes() { cell.kind.is_on_disk() } else { "" };
    format!(
        "{what} {:.0} | {:.2} | {:.2} | {} | {} | {on_disk} |",
        figures.per_second,
        figures.p50,
        figures.p99,
        sum(figures.cpu),
        sum(figures.resident)
    )
}

/// Two figures, or the one that there is.
fn sum((own, database): (f64, Option<f64>)) -> String {
    database.map_or_else(|| format!("{own:.0}"), |database| format!("{own:.0} + {database:.0}"))
}
