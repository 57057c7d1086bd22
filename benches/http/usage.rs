//! What a run takes of the machine.

use std::fs;
use std::ops::Sub;
use std::process;
use std::time::Duration;

use crate::cpu::Stat;
use crate::processes::Result;
use crate::setup::Setup;

/// The time that they have run.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub service: Duration,
    /// All processes of the cluster, also those that have ended.
    pub postgres: Duration,
    /// This process, which sends the requests.
    pub client: Duration,
}

impl Usage {
    pub fn of(setup: &Setup) -> Result<Self> {
        let service = Stat::read(&setup.service.proc("stat"))?.own;
        let client = Stat::read(&format!("/proc/{}/stat", process::id()))?.own;
        Ok(Self { service, postgres: cluster(setup.rooms.postmaster)?, client })
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            service: self.service.saturating_sub(earlier.service),
            postgres: self.postgres.saturating_sub(earlier.postgres),
            client: self.client.saturating_sub(earlier.client),
        }
    }
}

fn cluster(postmaster: u32) -> Result<Duration> {
    let own = Stat::read(&format!("/proc/{postmaster}/stat"))?;
    let mut sum = own.own + own.ended;
    for entry in fs::read_dir("/proc")? {
        // What is no process has no such file, and one may end meanwhile.
        let stat = Stat::read(&entry?.path().join("stat").to_string_lossy());
        sum += stat.ok().filter(|stat| stat.parent == postmaster).map_or(Duration::ZERO, |stat| stat.own);
    }
    Ok(sum)
}
