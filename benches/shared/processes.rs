//! The service in a process of its own, with the settings of production.

use std::error::Error;
use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Of its log only what went wrong is of interest here; requests have their spans all the same, as in production.
const LOG: &str = "warn,roomkeeper::http::request_span=info";

/// The binary, and where it keeps what it has.
pub fn roomkeeper(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomkeeper"));
    command.env("ROOMKEEPER_DATA_DIR", data_dir).env("ROOMKEEPER_LOG", LOG);
    command.env("ROOMKEEPER_LISTEN", "127.0.0.1:0").env("ROOMKEEPER_TLS_LISTEN", "off");
    command.env("ROOMKEEPER_SWEEP_INTERVAL", "off").env("ROOMKEEPER_DRAIN", "0s").stdout(Stdio::piped());
    command
}

/// The user that runs the private Postgres has to pass.
pub fn open_to_all(folder: &Path) -> Result<()> {
    Ok(fs::set_permissions(folder, Permissions::from_mode(0o755))?)
}

/// A process that is ended when this is dropped.
pub struct Process(Child);

impl Process {
    /// Starts it and waits for its first line, which says that it is ready.
    pub fn start(mut command: Command) -> Result<(Self, String)> {
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let process = Self(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() { Err("it did not start".into()) } else { Ok((process, line.trim().to_owned())) }
    }

    #[allow(dead_code, reason = "not every bench looks at a process")]
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = i32::try_from(self.0.id()).map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
        let _ = self.0.wait();
    }
}

/// The service, on a database that is named or its own.
pub struct Service {
    pub address: SocketAddr,
    endpoint: Value,
    process: Process,
}

impl Service {
    /// Starts it, with what is set otherwise than usual by the names of the environment.
    #[allow(dead_code, reason = "a bench looks at the log, or does not")]
    pub fn start(folder: &Path, database_url: Option<&str>, settings: &[(&str, &str)]) -> Result<Self> {
        let mut command = roomkeeper(&folder.join("service"));
        command.envs(settings.iter().copied());
        if let Some(url) = database_url {
            command.env("ROOMKEEPER_DATABASE_URL", url);
        }
        Self::run(command, folder)
    }

    /// Starts it on a database of its own, with the usual log, which goes into a file.
    #[allow(dead_code, reason = "a bench looks at the log, or does not")]
    pub fn start_logged(folder: &Path, settings: &[(&str, &str)], log: File) -> Result<Self> {
        let mut command = roomkeeper(&folder.join("service"));
        command.env_remove("ROOMKEEPER_LOG").envs(settings.iter().copied()).stderr(log);
        Self::run(command, folder)
    }

    fn run(command: Command, folder: &Path) -> Result<Self> {
        let data_dir = folder.join("service");
        let (process, _) = Process::start(command)?;
        let endpoint: Value = serde_json::from_slice(&fs::read(data_dir.join("endpoint.json"))?)?;
        let http = endpoint["http"].as_str().ok_or("an endpoint.json of another form")?;
        let address = http.strip_prefix("http://").unwrap_or(http).parse()?;
        Ok(Self { address, endpoint, process })
    }

    /// What its endpoint.json says.
    pub fn says(&self, name: &str) -> Result<&str> {
        Ok(self.endpoint[name].as_str().ok_or_else(|| format!("no {name} in endpoint.json"))?)
    }

    /// Its memory, by the name that /proc has for a kind of it: `VmRSS` is all that is resident.
    pub fn memory_kib(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let size = line.and_then(|line| line.split_whitespace().next()).ok_or_else(|| format!("no {name}"))?;
        Ok(size.parse()?)
    }

    /// The path of a file of /proc about it.
    pub fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.process.0.id())
    }
}
