//! What Postgres does with the service's SQL and nothing in front: pgbench.

use std::fs;
use std::path::Path;
use std::process::Command;

use rand::RngExt as _;

use crate::operation::Operation;
use crate::pages::DeepPage;
use crate::processes::Result;
use crate::rooms::{self, Rooms};
use crate::users;

/// How long it works.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    Seconds(u32),
    /// Each client has deleted so many rooms, of those from this one on.
    Deleted {
        first: i64,
        each: i64,
    },
}

/// Transactions a second of the operation's SQL, prepared, on so many connections.
pub fn rate(rooms: &Rooms, page: &DeepPage, operation: Operation, clients: usize, until: Until) -> Result<f64> {
    let text = run(rooms, page, operation, clients, until, &[])?;
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|rest| rest.split(' ').next());
    Ok(rate.ok_or("pgbench told no rate")?.parse()?)
}

/// The median time of a transaction in microseconds, on one connection.
pub fn median_micros(rooms: &Rooms, page: &DeepPage, operation: Operation, seconds: u32) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let prefix = format!("--log-prefix={}", folder.path().join("log").display());
    run(rooms, page, operation, 1, Until::Seconds(seconds), &["--log", &prefix])?;
    let mut micros = Vec::new();
    for file in fs::read_dir(folder.path())? {
        let text = fs::read_to_string(file?.path())?;
        micros.extend(text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u32>().ok()));
    }
    micros.sort_unstable();
    let median = micros.get(micros.len() / 2).ok_or("pgbench logged nothing")?;
    Ok(f64::from(*median))
}

fn run(
    rooms: &Rooms,
    page: &DeepPage,
    operation: Operation,
    clients: usize,
    until: Until,
    more: &[&str],
) -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/pgbench");
    let mut command = Command::new("pgbench");
    command.env("LC_ALL", "C"); // what it tells is read
    command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]).arg(format!("--client={clients}"));
    for file in operation.files() {
        command.arg("--file").arg(folder.join(file));
    }
    let doomed = match until {
        Until::Seconds(seconds) => {
            command.arg(format!("--time={seconds}"));
            0
        }
        Until::Deleted { first, each } => {
            command.arg(format!("--transactions={each}"));
            first
        }
    };
    let before = if operation == Operation::List200th { page.before } else { i64::MAX };
    let (roster, roster_roles) = users::arrays(users::FIRST_GROUP, operation.roster());
    let (patched, patched_roles) = users::arrays(users::ANY_GROUP, operation.patched());
    // Each client counts its own transactions in `n`.
    let variables = [
        ("n", "-1".to_owned()),
        ("clients", clients.to_string()),
        ("start", rand::rng().random_range(0..rooms.count).to_string()),
        ("resource", rooms.resource.to_string()),
        ("first", rooms::FIRST.to_string()),
        ("rooms", rooms.count.to_string()),
        ("newest", Rooms::newest().to_string()),
        ("doomed", doomed.to_string()),
        ("before", before.to_string()),
        ("page", "31".to_owned()),
        ("roster", roster),
        ("roster_roles", roster_roles),
        ("patched", patched),
        ("patched_roles", patched_roles),
        ("last_group", operation.last_group().to_string()),
    ];
    command.args(variables.map(|(name, value)| format!("--define={name}={value}")));
    let output = command.args(more).arg(&rooms.url).output()?;
    if !output.status.success() {
        return Err(format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let all_done = text.contains("number of failed transactions: 0 ");
    if all_done { Ok(text) } else { Err(format!("transactions failed: {text}").into()) }
}
