//! A service in a process, and folders for it.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::wire::{Answer, KEY, Request};

/// A data folder that goes with its test. Every user may enter it, as the private Postgres has to.
pub struct DataDir(TempDir);

impl DataDir {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("rk").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn endpoint(&self) -> Option<Value> {
        fs::read(self.join("endpoint.json")).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    /// The pid of the private Postgres, as its cluster has it.
    pub fn postmaster(&self) -> Option<i32> {
        let text = fs::read_to_string(self.join("postgres/data/postmaster.pid")).ok()?;
        text.lines().next()?.parse().ok()
    }
}

/// The binary with a data folder and free ports, and nothing from the environment.
pub fn command(data_dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomkeeper"));
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("ROOMKEEPER_")) {
        command.env_remove(name);
    }
    command.args(args).env("ROOMKEEPER_DATA_DIR", data_dir).env("ROOMKEEPER_LISTEN", "127.0.0.1:0");
    command.env("ROOMKEEPER_TLS_LISTEN", "off").env("ROOMKEEPER_ACCESS_KEY", KEY).env("ROOMKEEPER_DRAIN", "0s");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process that has said that it is ready. It is killed when it is dropped.
pub struct Service {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: Option<JoinHandle<String>>,
    pub announcement: String,
}

/// A Postgres of its own for a test.
pub fn postgres() -> (DataDir, Service, String) {
    let data_dir = DataDir::new();
    let postgres = Service::spawn(command(data_dir.path(), &["postgres"]));
    let url = postgres.announcement.trim().to_owned();
    (data_dir, postgres, url)
}

/// Runs statements on a database.
pub async fn sql(url: &str, sql: &str) {
    let options = roomkeeper::store::pool::options_from_url(url).unwrap();
    let pool = sqlx::PgPool::connect_lazy_with(options);
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&pool).await.unwrap();
    pool.close().await;
}

/// What a process left that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Service {
    pub fn start(data_dir: &DataDir) -> Self {
        Self::spawn(command(data_dir.path(), &[]))
    }

    /// Waits until the process is ready, or fails the test with what it said.
    pub fn spawn(command: Command) -> Self {
        let mut service = Self::spawn_unready(command);
        let mut line = String::new();
        // The first line says that it is ready; the rest is written with it.
        service.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "did not start: {:?}", service.wait());
        service.announcement = line;
        service
    }

    pub fn spawn_unready(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, stdout, log: Some(log), announcement: String::new() }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for the process' end.
    pub fn wait(&mut self) -> Ended {
        let mut stdout = std::mem::take(&mut self.announcement);
        self.stdout.read_to_string(&mut stdout).unwrap();
        let status = self.child.wait().unwrap();
        let stderr = self.log.take().map(|log| log.join().unwrap()).unwrap_or_default();
        Ended { status, stdout, stderr }
    }

    pub fn stop(mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Without a chance to do anything about it.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The last line of stderr, which is all that a person has to read; once the log has started, it is a line of the log.
pub fn complaint(ended: &Ended) -> String {
    let last = ended.stderr.lines().last().unwrap_or("");
    match serde_json::from_str::<Value>(last) {
        Ok(line) => {
            assert_eq!(line["exit_code"].as_i64(), ended.status.code().map(i64::from), "{line}");
            format!("roomkeeper: {}", line["error"].as_str().unwrap())
        }
        Err(_) => last.to_owned(),
    }
}

/// A signed request to the service of a data folder.
pub fn request(data_dir: &DataDir, method: &str, path: &str) -> Request {
    let http = data_dir.endpoint().expect("an endpoint.json")["http"].as_str().unwrap().to_owned();
    let address: SocketAddr = http.strip_prefix("http://").unwrap().parse().unwrap();
    Request::new(address, roomkeeper::clock::Clock::system().now(), method, path)
}

pub async fn get(data_dir: &DataDir, path: &str) -> Answer {
    request(data_dir, "GET", path).send().await
}

/// Makes a room and gives its path.
pub async fn make_room(data_dir: &DataDir) -> String {
    let answer = request(data_dir, "POST", "/rooms").send().await;
    assert_eq!(answer.status, 201, "{answer:?}");
    format!("/rooms/{}", answer.body["id"].as_str().unwrap())
}

/// False also for a process that has ended and that nobody has waited for.
pub fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/statm")).is_ok_and(|statm| !statm.starts_with("0 "))
}
