//! A load that costs little: a connection a task, kept alive, one request after the other, in one thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::net::TcpStream;

use crate::exchange::exchange;
use crate::processes::Service;
use crate::{CONNECTIONS, SECONDS};

/// What a run measured.
pub struct Run {
    /// How long each answer took, in microseconds, the quickest first.
    micros: Vec<u32>,
    /// Answers that were none, or no 2xx.
    pub failed: usize,
    /// Whether requests were sent a second time: what writes was not written anew then.
    pub came_round: bool,
    took: Duration,
}

impl Run {
    pub fn per_second(&self) -> f64 {
        self.micros.len() as f64 / self.took.as_secs_f64()
    }

    /// In milliseconds.
    pub fn percentile(&self, part: f64) -> f64 {
        let at = (self.micros.len() as f64 * part) as usize;
        self.micros.get(at).map_or(f64::NAN, |micros| f64::from(*micros) / 1_000.0)
    }
}

/// Sends the requests in turn, from the first again if they come round, until the time is over.
pub async fn run(service: &Service, requests: Vec<Vec<u8>>) -> Run {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let until = began + Duration::from_secs(SECONDS);
    let drive = async || {
        let (mut micros, mut failed) = (Vec::new(), 0);
        let Ok(mut stream) = TcpStream::connect(service.address).await else { return (micros, 1) };
        let mut buffer = Vec::with_capacity(64 * 1024);
        while Instant::now() < until {
            let request = &requests[next.fetch_add(1, Ordering::Relaxed) % requests.len()];
            let sent = Instant::now();
            match exchange(&mut stream, request, &mut buffer).await {
                Ok((true, _)) => micros.push(sent.elapsed().as_micros() as u32),
                Ok((false, _)) => failed += 1,
                Err(_) => return (micros, failed + 1),
            }
        }
        (micros, failed)
    };
    let runs = join_all((0..CONNECTIONS).map(|_| drive())).await;
    let took = began.elapsed();
    let mut micros: Vec<u32> = runs.iter().flat_map(|(micros, _)| micros).copied().collect();
    micros.sort_unstable();
    let came_round = next.load(Ordering::Relaxed) > requests.len();
    Run { micros, failed: runs.iter().map(|(_, failed)| failed).sum(), came_round, took }
}
