//! Which machine it is that is measured on.

use std::fs;

use crate::processes::Result;

/// Cores and memory, in words.
pub fn machine() -> Result<String> {
    let line = |file: &str, name: &str| -> Result<String> {
        let text = fs::read_to_string(file)?;
        let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        Ok(line.map_or_else(String::new, |(_, value)| value.trim().to_owned()))
    };
    let cores = std::thread::available_parallelism()?;
    let memory = line("/proc/meminfo", "MemTotal")?;
    let kib: f64 = memory.trim_end_matches(" kB").parse()?;
    let model = line("/proc/cpuinfo", "model name")?;
    Ok(format!("{cores} cores ({model}), which the clients use too, and {:.0} GiB of memory", kib / 1024.0 / 1024.0))
}
