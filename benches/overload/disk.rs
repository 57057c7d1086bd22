//! A disk that can be made slow, for the private Postgres of the service.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::processes::Result;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/overload/slow_disk.c");

pub struct Disk {
    /// The folder of Postgres programs that the service is to run.
    pub programs: PathBuf,
    delay: PathBuf,
}

impl Disk {
    /// Puts scripts in front of the installed Postgres programs, by which the server loads the library.
    pub fn prepare(folder: &Path) -> Result<Self> {
        let (library, delay, programs) = (folder.join("slow_disk.so"), folder.join("delay"), folder.join("programs"));
        let compiler =
            Command::new("gcc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(SOURCE).status()?;
        if !compiler.success() {
            return Err("gcc failed".into());
        }
        fs::create_dir(&programs)?;
        let installed = installed()?;
        for name in ["initdb", "pg_ctl", "postgres", "pg_isready", "psql"] {
            let library = if name == "initdb" { String::new() } else { library.display().to_string() };
            let script = format!(
                "#!/bin/sh\nLD_PRELOAD={library} SLOW_DISK_FILE={} exec {} \"$@\"\n",
                delay.display(),
                installed.join(name).display()
            );
            let path = programs.join(name);
            fs::write(&path, script)?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
        let disk = Self { programs, delay };
        disk.slow_by(Duration::ZERO)?;
        Ok(disk)
    }

    /// Has each flush take so much longer from now on.
    pub fn slow_by(&self, delay: Duration) -> Result<()> {
        Ok(fs::write(&self.delay, delay.as_millis().to_string())?)
    }
}

/// The newest that Debian has installed.
fn installed() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")?.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    Ok(versions.filter(|bin| bin.join("initdb").exists()).max().ok_or("no Postgres of Debian")?)
}
