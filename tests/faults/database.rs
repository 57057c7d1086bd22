//! A Postgres that faults happen to.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::{NamedTempFile, TempDir};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::disk::Disk;
use crate::service::{DataDir, Service, command, sql};

pub struct Database {
    data: DataDir,
    pub disk: Disk,
    _programs: TempDir,
    process: Option<Service>,
    pub url: String,
    is_mounted: bool,
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.is_mounted {
            self.process = None;
            let _ = Command::new("umount").arg("--lazy").arg(self.data.path()).status();
        }
    }
}

impl Database {
    pub async fn start() -> Self {
        Self::start_in(DataDir::new()).await
    }

    /// On a disk of 200 MB of its own; `None` if it can't be mounted.
    pub async fn start_on_small_disk() -> Option<Self> {
        let data = DataDir::new();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=200m,mode=0755", "tmpfs"]).arg(data.path());
        let is_mounted = mount.status().is_ok_and(|status| status.success());
        if !is_mounted {
            return None;
        }
        let mut database = Self::start_in(data).await;
        database.is_mounted = true;
        Some(database)
    }

    /// Fills the disk until the file that is returned is dropped.
    pub fn fill_disk(&self) -> NamedTempFile {
        let mut file = NamedTempFile::new_in(self.data.path()).unwrap();
        while file.write_all(&[1; 65_536]).is_ok() {}
        file
    }

    async fn start_in(data: DataDir) -> Self {
        let programs = tempfile::Builder::new().prefix("rkdisk").tempdir_in("/tmp").unwrap();
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(programs.path(), everybody).unwrap();
        let disk = Disk::prepare(programs.path()).unwrap();
        let mut database =
            Self { data, disk, _programs: programs, process: None, url: String::new(), is_mounted: false };
        database.start_again().await;
        database
    }

    pub async fn start_again(&mut self) {
        let programs = self.disk.programs.display().to_string();
        let command = command(self.data.path(), &["postgres", "--postgres-bin", &programs, "--log", "error"]);
        let process = spawn_blocking(move || Service::spawn(command)).await.unwrap();
        self.url = process.announcement.trim().to_owned();
        self.process = Some(process);
    }

    /// Stops it as an operator does.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            spawn_blocking(move || process.stop()).await.unwrap();
        }
    }

    /// Kills the server without a chance to do anything; it is started again by what runs it.
    pub async fn kill(&self) {
        let pid = self.data.postmaster().expect("a server");
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        while self.data.postmaster() == Some(pid) {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a signal to every process of the server.
    pub fn signal(&self, signal: Signal) {
        let folder = self.folder();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            if fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == folder)
                && let Ok(pid) = process.file_name().to_string_lossy().parse()
            {
                let _ = kill(Pid::from_raw(pid), signal); // it may have ended
            }
        }
    }

    fn folder(&self) -> PathBuf {
        Path::new(self.data.path()).join("postgres/data")
    }

    /// Runs statements, each time on a connection of its own.
    pub async fn run(&self, statements: &str) {
        sql(&self.url, statements).await;
    }
}
