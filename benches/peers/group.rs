//! A process that ends with all that it started.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::processes::Result;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to end by itself: what it has is thrown away.
const FAREWELL: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// A process that leads a group of its own, which is ended when this is dropped.
pub struct Group {
    child: Child,
    /// What it says.
    log: PathBuf,
}

impl Group {
    /// Starts it in a folder, where its log is, too.
    pub fn start(command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join("output.log");
        command.current_dir(folder).process_group(0);
        command.stdin(Stdio::null()).stderr(File::create(&log)?);
        Ok(Self { child: command.spawn()?, log })
    }

    /// The same for one whose first line on stdout says where it listens.
    pub fn start_saying(command: &mut Command, folder: &Path) -> Result<(Self, SocketAddr)> {
        let mut group = Self::start(command.stdout(Stdio::piped()), folder)?;
        let stdout = group.child.stdout.take().ok_or("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| group.failed())?;
        Ok((group, address))
    }

    /// Waits until it takes connections.
    pub async fn reached(&mut self, address: SocketAddr) -> Result<()> {
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if self.child.try_wait()?.is_some() || began.elapsed() > PATIENCE {
                return Err(self.failed().into());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn failed(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        format!("it did not start: {}", said.lines().last().unwrap_or("it said nothing"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Ok(group) = i32::try_from(self.child.id()).map(Pid::from_raw) else { return };
        let _ = killpg(group, Signal::SIGTERM);
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < FAREWELL {
            thread::sleep(LOOK);
        }
        // Whoever of it is left; nobody, usually.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// A port that nobody uses, for one that does not pick its own.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
