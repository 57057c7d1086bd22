//! What the service takes of the machine.

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

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
    let stat = fs::read_to_string(service.proc("stat"))?;
    // Behind the name, which may have blanks: utime and stime are fields 14 and 15 of the whole line.
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ')).ok_or("an unknown form of /proc")?;
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let a_second = sysconf(SysconfVar::CLK_TCK)?.ok_or("no clock")?;
    Ok(Duration::from_secs_f64(ticks as f64 / a_second as f64))
}
