//! How much memory the private Postgres may take for what it has read.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

const MIB: u64 = 1024 * 1024;
/// An eighth of the memory, as the machine, or the container, is not its own.
const PART: u64 = 8;
/// Postgres' own default.
const LEAST: u64 = 128 * MIB;
/// Above this, what Postgres sets up for them at its start is felt.
const MOST: u64 = 4096 * MIB;

/// The size of `shared_buffers`, in MiB. Pages become resident only as they are used. A database that does not fit is
/// read from the kernel's cache, page by page: with a million rooms, gets were a sixth slower by that
/// (docs/benchmarks-more.md).
pub fn shared_buffers() -> u64 {
    part_of(memory().unwrap_or_default())
}

fn part_of(memory: u64) -> u64 {
    (memory / PART).clamp(LEAST, MOST) / MIB
}

/// What this process and those that it starts may take, in bytes: its control groups' limit, or what the machine has.
fn memory() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let own = Pid::from_u32(std::process::id());
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, ProcessRefreshKind::nothing());
    let limit = system.process(own).and_then(|process| process.cgroup_limits());
    Some(limit.map_or(u64::MAX, |limit| limit.total_memory).min(system.total_memory()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * MIB;

    #[test]
    fn an_eighth_of_the_memory_is_taken() {
        assert_eq!(part_of(16 * GIB), 2048);
    }

    #[test]
    fn where_little_is_known_or_there_postgres_has_its_default() {
        assert_eq!(part_of(0), 128);
        assert_eq!(part_of(512 * MIB), 128);
    }

    #[test]
    fn a_large_machine_gives_a_bounded_part() {
        assert_eq!(part_of(1024 * GIB), 4096);
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(memory().unwrap() > 128 * MIB);
    }
}
