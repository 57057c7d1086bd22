//! How soon the service is ready.

use std::path::Path;
use std::time::Instant;

use crate::processes::{Result, Service};

/// The median time in seconds from start to ready with a private Postgres, on a folder that is there.
pub fn starts(folder: &Path, times: usize) -> Result<f64> {
    drop(Service::start(folder, None, &[])?);
    let mut took = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        let service = Service::start(folder, None, &[])?;
        took.push(began.elapsed().as_secs_f64());
        drop(service);
    }
    took.sort_by(f64::total_cmp);
    Ok(took[times / 2])
}
