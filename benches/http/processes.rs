//! The service and its Postgres in processes of their own, with the settings of production; and pgbench.

use std::error::Error;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use uuid::Uuid;

use crate::requests::Operation;
use crate::{CONNECTIONS, ROOMS, SECONDS};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn roomkeeper(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomkeeper"));
    command.env("ROOMKEEPER_DATA_DIR", data_dir).env("ROOMKEEPER_LOG", "warn");
    command.env("ROOMKEEPER_LISTEN", "127.0.0.1:0").env("ROOMKEEPER_TLS_LISTEN", "off");
    command.env("ROOMKEEPER_SWEEP_INTERVAL", "off").stdout(Stdio::piped());
    command
}

/// The user that runs the private Postgres has to pass.
pub fn open_to_all(folder: &Path) -> Result<()> {
    Ok(fs::set_permissions(folder, Permissions::from_mode(0o755))?)
}

/// A process that is ended when this is dropped.
struct Process(Child);

impl Process {
    /// Starts it and waits for its first line, which says that it is ready.
    fn start(mut command: Command) -> Result<(Self, String)> {
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let process = Self(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() { Err("it did not start".into()) } else { Ok((process, line.trim().to_owned())) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = i32::try_from(self.0.id()).map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
        let _ = self.0.wait();
    }
}

/// A private cluster of its own, as the service runs one.
pub struct Postgres {
    pub url: String,
    _process: Process,
}

impl Postgres {
    pub fn start(folder: &Path) -> Result<Self> {
        let mut command = roomkeeper(&folder.join("postgres"));
        command.arg("postgres");
        let (process, url) = Process::start(command)?;
        Ok(Self { url, _process: process })
    }
}

/// The service, on a database that is named or its own.
pub struct Service {
    pub address: SocketAddr,
    pub access_key: String,
    process: Process,
}

impl Service {
    pub fn start(folder: &Path, database_url: Option<&str>) -> Result<Self> {
        let data_dir = folder.join("service");
        let mut command = roomkeeper(&data_dir);
        if let Some(url) = database_url {
            command.env("ROOMKEEPER_DATABASE_URL", url);
        }
        let (process, _) = Process::start(command)?;
        let endpoint: Value = serde_json::from_slice(&fs::read(data_dir.join("endpoint.json"))?)?;
        let text = |name: &str| endpoint[name].as_str().map(str::to_owned).ok_or("an endpoint.json of another form");
        let http = text("http")?;
        let address = http.strip_prefix("http://").unwrap_or(&http).parse()?;
        Ok(Self { address, access_key: text("accessKey")?, process })
    }

    /// Its resident memory.
    pub fn resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    }
}

/// The median time in seconds from start to ready with a private Postgres, on a folder that is there.
pub fn starts(folder: &Path, times: usize) -> Result<f64> {
    drop(Service::start(folder, None)?);
    let mut took = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        let service = Service::start(folder, None)?;
        took.push(began.elapsed().as_secs_f64());
        drop(service);
    }
    took.sort_by(f64::total_cmp);
    Ok(took[times / 2])
}

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
