//! Assigns processes to cores, so that attackers do not take processor time from the service.

use std::fmt;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::processes::Result;

/// The core of the attackers, if there are two cores.
#[derive(Clone, Copy)]
pub struct Cores(Option<usize>);

/// The thread that calls.
const THIS: Pid = Pid::from_raw(0);

impl Cores {
    /// Leaves the first core to the attackers. This thread, and all that it starts, stays on the others.
    pub fn share() -> Result<Self> {
        let mut free = sched_getaffinity(THIS)?;
        let mut cores = (0..CpuSet::count()).filter(|core| free.is_set(*core).unwrap_or(false));
        let (first, second) = (cores.next(), cores.next());
        let (Some(first), Some(_)) = (first, second) else { return Ok(Self(None)) };
        free.unset(first)?;
        sched_setaffinity(THIS, &free)?;
        Ok(Self(Some(first)))
    }

    /// Moves this thread to the core of the attackers.
    pub fn attack(self) -> Result<()> {
        if let Some(core) = self.0 {
            let mut cores = CpuSet::new();
            cores.set(core)?;
            sched_setaffinity(THIS, &cores)?;
        }
        Ok(())
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "attackers have one core, the service, its Postgres and the honest clients share what is left",
            None => "all share one core",
        })
    }
}
