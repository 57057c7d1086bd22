//! What processes take of the machine.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use crate::processes::Result;

/// Of a process and all below it.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// How long they have run, those that ended included.
    pub cpu: Duration,
    /// What they share counts once.
    resident_kib: u64,
}

impl Usage {
    pub fn mib(self) -> f64 {
        self.resident_kib as f64 / 1024.0
    }
}

/// What is read of a line of /proc.
struct Stat {
    parent: u32,
    ticks: u64,
}

pub fn usage(root: u32) -> Result<Usage> {
    let all = stats()?;
    let is_below = |mut id: u32| {
        while id != root {
            match all.get(&id) {
                Some(stat) => id = stat.parent,
                None => return false,
            }
        }
        true
    };
    let (mut ticks, mut resident_kib) = (0, 0);
    for (id, stat) in all.iter().filter(|(id, _)| is_below(**id)) {
        ticks += stat.ticks;
        resident_kib += proportional_kib(*id).unwrap_or(0); // it may have ended since
    }
    let a_second = sysconf(SysconfVar::CLK_TCK)?.ok_or("no clock")?;
    Ok(Usage { cpu: Duration::from_secs_f64(ticks as f64 / a_second as f64), resident_kib })
}

/// Of every process that there is.
fn stats() -> Result<HashMap<u32, Stat>> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(stat) = fs::read_to_string(format!("/proc/{id}/stat")).ok().and_then(|line| stat(&line)) {
            all.insert(id, stat);
        }
    }
    Ok(all)
}

fn stat(line: &str) -> Option<Stat> {
    // Behind the name, which may have blanks, begins the third field of the line.
    let fields: Vec<&str> = line.rsplit_once(") ")?.1.split(' ').collect();
    let field = |number: usize| fields.get(number - 3);
    // Its own time as a user and in the kernel, and that of its children that ended.
    let ticks = (14..=17).filter_map(|number| field(number)?.parse::<u64>().ok()).sum();
    Some(Stat { parent: field(4)?.parse().ok()?, ticks })
}

/// What is resident of it; what it shares with others, by its part.
fn proportional_kib(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
