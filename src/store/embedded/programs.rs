//! Where the Postgres programs are (private-postgres.md, 2.1).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::folder::Owner;
use super::{EmbeddedError, Settings};

/// The folder of one installed Postgres, and the environment that its programs have.
#[derive(Debug)]
pub struct Programs {
    folder: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

/// Where Debian puts them, a folder a major version, off the PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

impl Programs {
    /// The one that was named, else the newest of Debian's, else the first of the PATH.
    pub fn newest(settings: &Settings) -> Result<Self, EmbeddedError> {
        candidates(settings).into_iter().next().map(|bin| Self::of(bin, settings)).ok_or(EmbeddedError::NoPrograms)
    }

    /// The first of the same candidates that is of a major version.
    pub fn of_major(settings: &Settings, major: &str) -> Option<Self> {
        candidates(settings).into_iter().map(|bin| Self::of(bin, settings)).find(|programs| programs.is_of_major(major))
    }

    fn of(folder: PathBuf, settings: &Settings) -> Self {
        Self { folder, environment: settings.environment.clone() }
    }

    /// A program, run as `owner` and in `/`, which every user can enter.
    pub fn command(&self, program: &str, owner: &Owner) -> Command {
        let mut command = self.sealed(self.path(program));
        owner.apply(&mut command);
        command.current_dir("/");
        command
    }

    /// Any program, without our environment: other processes of the same user can read what it was started with.
    pub fn sealed(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Where a program is.
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// `pg_ctl --version` says `pg_ctl (PostgreSQL) 15.18 (Debian …)`; PG_VERSION says `15`.
    fn is_of_major(&self, major: &str) -> bool {
        let Ok(output) = self.sealed(self.path("pg_ctl")).arg("--version").output() else { return false };
        let text = String::from_utf8_lossy(&output.stdout);
        text.split_whitespace()
            .nth(2)
            .and_then(|version| version.strip_prefix(major))
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    }
}

fn candidates(settings: &Settings) -> Vec<PathBuf> {
    let bins: Vec<PathBuf> = match &settings.programs {
        Some(named) => vec![named.clone()],
        None => debian().into_iter().chain(settings.path.iter().cloned()).collect(),
    };
    // Clients alone bring psql and pg_ctl's neighbours; a server has initdb.
    bins.into_iter().filter(|bin| bin.join("initdb").is_file()).collect()
}

fn debian() -> Vec<PathBuf> {
    let folders = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut majors: Vec<(u32, PathBuf)> = folders
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    majors.sort_by(|a, b| b.cmp(a));
    majors.into_iter().map(|(_, bin)| bin).collect()
}
