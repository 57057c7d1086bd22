//! What a run is told.

use std::time::Duration;

use clap::Parser;

use crate::operation::Operation;

/// The service beside its database, with the same SQL and nothing in front of it.
#[derive(Debug, Parser)]
#[command(name = "http", bin_name = "script/bench http")]
pub struct Args {
    /// What to measure; all of it, if nothing is named
    #[arg(value_name = "OPERATION")]
    pub operations: Vec<Operation>,
    /// How many rooms there are; each number is measured on a database of its own
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "10000,1000000", value_parser = clap::value_parser!(i64).range(6_001..))]
    pub rooms: Vec<i64>,
    /// Measure with 10,000,000 rooms, too; they take some 12 GB of /tmp, and minutes to fill in
    #[arg(long)]
    pub huge: bool,
    /// How many connections ask at once; Postgres takes a hundred, with those of the service
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "16,64", value_parser = clap::value_parser!(u16).range(1..=70))]
    pub connections: Vec<u16>,
    /// How long each run lasts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// How many runs there are of each operation
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub repeats: u16,
    /// Write what is printed to docs/benchmarks.md
    #[arg(long)]
    pub write: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    /// What the command line says, and what follows from it.
    pub fn read() -> Self {
        let mut args = Self::parse();
        args.rooms.extend(args.huge.then_some(10_000_000));
        args.rooms.sort_unstable();
        args.rooms.dedup();
        args.connections.sort_unstable();
        args.connections.dedup();
        args
    }

    /// What is to be measured, in the order of [`Operation::ALL`].
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        Operation::ALL.into_iter().filter(|operation| self.wants(*operation))
    }

    pub fn wants(&self, operation: Operation) -> bool {
        self.operations.is_empty() || self.operations.contains(&operation)
    }

    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

/// The command that was given.
pub fn command() -> String {
    let given = std::env::args().skip(1).filter(|word| word != "--bench");
    ["script/bench".to_owned(), "http".to_owned()].into_iter().chain(given).collect::<Vec<_>>().join(" ")
}
