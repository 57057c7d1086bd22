//! A load that costs little: a connection a task, kept alive, one request after the other, in one thread.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::net::TcpStream;

use crate::exchange::exchange;

/// What a run measured.
pub struct Run {
    /// Good answers.
    answers: usize,
    /// Answers that were none, or no 2xx.
    pub failed: usize,
    /// Whether requests were sent a second time: what writes was not written anew then.
    pub came_round: bool,
    took: Duration,
}

impl Run {
    pub fn per_second(&self) -> f64 {
        self.answers as f64 / self.took.as_secs_f64()
    }
}

/// Sends the requests in turn, from the first again if they come round, until the time is over.
pub async fn run(address: SocketAddr, requests: &[Vec<u8>], connections: usize, duration: Duration) -> Run {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let drive = async || {
        let mut answers = 0;
        let Ok(mut stream) = TcpStream::connect(address).await else { return (answers, 1) };
        let (mut buffer, mut failed) = (Vec::with_capacity(64 * 1024), 0);
        while began.elapsed() < duration {
            let request = &requests[next.fetch_add(1, Ordering::Relaxed) % requests.len()];
            match exchange(&mut stream, request, &mut buffer).await {
                Ok((true, _)) => answers += 1,
                Ok((false, _)) => failed += 1,
                Err(_) => return (answers, failed + 1),
            }
        }
        (answers, failed)
    };
    let runs = join_all((0..connections).map(|_| drive())).await;
    let (answers, failed) = runs.iter().fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
    Run { answers, failed, came_round: next.load(Ordering::Relaxed) > requests.len(), took: began.elapsed() }
}
