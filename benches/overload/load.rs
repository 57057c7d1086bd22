//! Requests at a fixed rate, whatever is answered: each is timed from the instant at which it was due.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};

use crate::exchange::exchange;
use crate::processes::Result;

/// After this long, a request is not answered.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections are opened in groups, as the service keeps a bounded number of those that it does not know yet.
const GROUP: usize = 100;

/// What came of a load.
#[derive(Default)]
pub struct Outcome {
    pub offered: f64,
    /// Answers a second that are 2xx.
    pub goodput: f64,
    /// In milliseconds, the quickest first: answers that are 2xx, and those that are 503.
    pub answered: Vec<f64>,
    pub refused: Vec<f64>,
    /// Requests that were answered otherwise, or not.
    pub failed: usize,
    /// The first of them.
    pub failure: Option<String>,
}

pub struct Load {
    address: SocketAddr,
    idle: Vec<TcpStream>,
}

impl Load {
    pub async fn connect(address: SocketAddr, connections: usize, known: &[u8]) -> Result<Self> {
        let mut idle = Vec::new();
        while idle.len() < connections {
            let group = join_all((0..GROUP.min(connections - idle.len())).map(async |_| {
                let mut stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                exchange(&mut stream, known, &mut Vec::new()).await?;
                Ok::<_, std::io::Error>(stream)
            }));
            for stream in group.await {
                idle.push(stream?);
            }
        }
        Ok(Self { address, idle })
    }

    /// Offers `rate` requests a second for a while.
    pub async fn offer(&mut self, rate: f64, span: Duration, requests: &[Vec<u8>]) -> Outcome {
        let (began, next) = (Instant::now(), Cell::new(0_usize));
        let outcome = RefCell::new(Outcome::default());
        let count = (rate * span.as_secs_f64()) as usize;
        let lane = async |mut stream: TcpStream| {
            let mut buffer = Vec::with_capacity(4096);
            loop {
                let n = next.get();
                if n >= count || began.elapsed() >= span {
                    return Ok(stream);
                }
                next.set(n + 1);
                let due = began + Duration::from_secs_f64(n as f64 / rate);
                sleep_until(due.into()).await;
                let (request, sent) = (&requests[n % requests.len()], Instant::now());
                let asked = timeout(PATIENCE, exchange(&mut stream, request, &mut buffer)).await;
                let is_answered = match asked {
                    Ok(Ok((is_done, _))) => Ok(is_done),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err("no answer".to_owned()),
                };
                let took = due.elapsed().as_secs_f64() * 1e3;
                let is_broken = is_answered.is_err();
                outcome.borrow_mut().add(is_answered, &buffer, took, sent.elapsed().as_secs_f64() * 1e3);
                if is_broken {
                    stream = TcpStream::connect(self.address).await?;
                }
            }
        };
        let idle = std::mem::take(&mut self.idle);
        let lanes: Vec<std::io::Result<TcpStream>> = join_all(idle.into_iter().map(lane)).await;
        self.idle.extend(lanes.into_iter().flatten());
        let mut outcome = outcome.into_inner();
        outcome.answered.sort_by(f64::total_cmp);
        outcome.refused.sort_by(f64::total_cmp);
        outcome.offered = next.get() as f64 / span.as_secs_f64();
        outcome.goodput = outcome.answered.len() as f64 / span.as_secs_f64();
        outcome
    }
}

impl Outcome {
    /// Adds an answer, which took so many milliseconds since its request was due, and since it was sent.
    fn add(&mut self, is_done: std::result::Result<bool, String>, answer: &[u8], since_due: f64, since_sent: f64) {
        match is_done {
            Ok(true) => self.answered.push(since_due),
            // Timed from when it was sent: delays before that are the client's own.
            Ok(false) if answer.starts_with(b"HTTP/1.1 503") => self.refused.push(since_sent),
            Ok(false) => self.fail(String::from_utf8_lossy(answer).into_owned()),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, failure: String) {
        self.failed += 1;
        self.failure.get_or_insert(failure);
    }
}

/// The value that a part of them does not exceed; none of none.
pub fn percentile(sorted: &[f64], part: f64) -> Option<f64> {
    sorted.get(((sorted.len().saturating_sub(1)) as f64 * part) as usize).copied()
}
