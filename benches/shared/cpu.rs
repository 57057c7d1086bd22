//! The time that processes have run, as /proc has it.

#![allow(dead_code, reason = "not every bench asks for those that ended")]

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use crate::processes::Result;

/// What is known of a process.
pub struct Stat {
    pub parent: u32,
    /// All its threads.
    pub own: Duration,
    /// Those of its children that have ended.
    pub ended: Duration,
}

impl Stat {
    /// Reads a file such as /proc/1/stat.
    pub fn read(path: &str) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        // Behind the name, which may have blanks, the third field of the line is the first.
        let (_, rest) = text.rsplit_once(") ").ok_or("an unknown form of /proc")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let field = |number: usize| -> Result<u64> { Ok(fields.get(number - 3).ok_or("a short line")?.parse()?) };
        let a_second = sysconf(SysconfVar::CLK_TCK)?.ok_or("no clock")?;
        let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 / a_second as f64);
        Ok(Self {
            parent: u32::try_from(field(4)?)?,
            own: time(field(14)? + field(15)?),
            ended: time(field(16)? + field(17)?),
        })
    }
}
