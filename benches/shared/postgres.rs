//! Postgres alone, for a service that is measured beside it, or for several that share it.

use std::path::Path;

use crate::processes::{Process, Result, roomkeeper};

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
