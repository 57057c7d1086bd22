//! What the service takes of the machine.

use std::time::Duration;

use crate::cpu::Stat;
use crate::processes::{Result, Service};

/// Its memory at one time, in KiB: all, and what is not of a file.
#[derive(Clone, Copy)]
pub struct Memory {
    pub resident: u64,
    pub anonymous: u64,
}

impl Memory {
    pub fn of(service: &Service) -> Result<Self> {
        Ok(Self { resident: service.memory_kib("VmRSS")?, anonymous: service.memory_kib("RssAnon")? })
    }
}

/// The time that its threads have run.
pub fn cpu(service: &Service) -> Result<Duration> {
    Ok(Stat::read(&service.proc("stat"))?.own)
}
