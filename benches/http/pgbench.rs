//! What Postgres does with the service's SQL and nothing in front: pgbench.

use std::path::Path;
use std::process::Command;

use uuid::Uuid;

use crate::processes::Result;
use crate::requests::Operation;
use crate::{CONNECTIONS, ROOMS, SECONDS};

/// Transactions a second of the operation's SQL, prepared, on as many connections.
pub fn pgbench(url: &str, operation: Operation, resource: Uuid) -> Result<f64> {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/pgbench").join(operation.name()).with_extension("sql");
    let mut command = Command::new("pgbench");
    command.args(["--no-vacuum", "--protocol=prepared", "--file"]).arg(script);
    command.arg(format!("--client={CONNECTIONS}")).arg("--jobs=2").arg(format!("--time={SECONDS}"));
    command.arg(format!("--define=resource={resource}")).arg(format!("--define=rooms={ROOMS}")).arg(url);
    let output = command.output()?;
    let text = String::from_utf8(output.stdout)?;
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|rest| rest.split(' ').next());
    let tps = tps.ok_or_else(|| format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(tps.parse()?)
}
