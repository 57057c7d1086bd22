//! Observes the service during a load: its memory, and live clients that must not be dropped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::{Client, MESSAGE};
use crate::processes::{Result, Service};

const LIVE: usize = 20;
const SAMPLE: Duration = Duration::from_millis(100);
const EVERY: Duration = Duration::from_secs(1);

/// The peak resident memory since the last reading, in KiB.
#[derive(Default)]
pub struct Memory(AtomicU64);

impl Memory {
    pub fn watch(&self, service: &Service, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            self.0.fetch_max(service.memory_kib("VmRSS").unwrap_or(u64::MAX), Ordering::Relaxed);
            thread::sleep(SAMPLE);
        }
    }

    /// In MiB.
    pub fn take(&self) -> f64 {
        self.0.swap(0, Ordering::Relaxed) as f64 / 1024.0
    }
}

/// Keeps live clients in a room, one of which publishes each second; fails if one is dropped or misses a message.
pub fn live(service: &Service, key: &str, is_over: &AtomicBool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..LIVE {
            let mut client = Client::connect_with_key(service, key).await?;
            client.attach("hall").await?;
            clients.push(client);
        }
        let mut told = vec![0; LIVE];
        let mut said = 0;
        while !is_over.load(Ordering::Relaxed) {
            clients[0].say("hall").await?;
            said += 1;
            let heard = futures_util::future::join_all(clients.iter_mut().map(|client| client.hear(EVERY))).await;
            for (told, frames) in told.iter_mut().zip(heard) {
                *told += frames?.iter().filter(|frame| frame.action == MESSAGE).count();
            }
        }
        if told.iter().all(|told| *told == said) { Ok(()) } else { Err(format!("told {told:?} of {said}").into()) }
    })
}
