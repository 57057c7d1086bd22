//! A load that costs little: connections that are kept alive, on each one request after the other, all in one thread.

#![allow(dead_code, reason = "not every bench asks all that a run can tell")]

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;

use crate::exchange::exchange;

/// What a run measured.
#[derive(Debug)]
pub struct Run {
    /// How long each answer took, in microseconds, the quickest first.
    micros: Vec<u32>,
    /// Answers that were none, or no 2xx; a connection that broke is not opened again.
    pub failed: usize,
    /// The first of them.
    refused: Option<String>,
    /// Whether requests were sent a second time: what writes was not written anew then.
    pub came_round: bool,
    pub took: Duration,
}

impl Run {
    /// Puts together what connections were answered.
    pub fn of(connections: impl IntoIterator<Item = Answers>, came_round: bool, took: Duration) -> Self {
        let mut all = Answers::default();
        for mut answers in connections {
            all.micros.append(&mut answers.micros);
            all.failed += answers.failed;
            all.refused = all.refused.or(answers.refused);
        }
        all.micros.sort_unstable();
        Self { micros: all.micros, failed: all.failed, refused: all.refused, came_round, took }
    }

    /// How many were answered well.
    pub fn answered(&self) -> usize {
        self.micros.len()
    }

    /// What went wrong, if anything did.
    pub fn trouble(&self) -> Option<String> {
        let refused = self.refused.as_deref().unwrap_or("no answer");
        (self.failed > 0).then(|| format!("{} requests failed, one with {refused}", self.failed))
    }

    pub fn per_second(&self) -> f64 {
        self.answered() as f64 / self.took.as_secs_f64()
    }

    /// In microseconds.
    pub fn percentile(&self, part: f64) -> f64 {
        let at = (self.micros.len() as f64 * part) as usize;
        self.micros.get(at).map_or(f64::NAN, |micros| f64::from(*micros))
    }
}

/// What one connection was answered.
#[derive(Debug, Default)]
pub struct Answers {
    micros: Vec<u32>,
    failed: usize,
    refused: Option<String>,
}

impl Answers {
    /// Sends a request and notes how long the answer took, counted from `since`; false once the connection is of no use.
    pub async fn ask(&mut self, stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>, since: Instant) -> bool {
        match exchange(stream, request, buffer).await {
            Ok((true, _)) => self.micros.push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)),
            Ok((false, body)) => {
                self.failed += 1;
                self.refused.get_or_insert_with(|| String::from_utf8_lossy(body).into_owned());
            }
            Err(_) => {
                self.failed += 1;
                return false;
            }
        }
        true
    }
}

/// Connections to the service, and how many it did not take.
pub async fn connect(address: SocketAddr, connections: usize) -> (Vec<TcpStream>, Answers) {
    let streams = join_all((0..connections).map(|_| TcpStream::connect(address))).await;
    let streams: Vec<TcpStream> =
        streams.into_iter().flatten().filter(|stream| stream.set_nodelay(true).is_ok()).collect();
    let failed = connections - streams.len();
    (streams, Answers { failed, ..Answers::default() })
}

/// Sends the requests in turn, from the first again if they come round, until the time is over.
pub async fn run(address: SocketAddr, requests: &[Vec<u8>], connections: usize, duration: Duration) -> Run {
    let most = if requests.is_empty() { 0 } else { usize::MAX };
    drive(address, requests, connections, duration, most).await
}

/// Sends each request once, and ends early if there are no more.
pub async fn once(address: SocketAddr, requests: &[Vec<u8>], connections: usize, duration: Duration) -> Run {
    drive(address, requests, connections, duration, requests.len()).await
}

async fn drive(address: SocketAddr, requests: &[Vec<u8>], connections: usize, duration: Duration, most: usize) -> Run {
    let (streams, unconnected) = connect(address, connections).await;
    let next = Cell::new(0);
    let began = Instant::now();
    let until = began + duration;
    let lane = async |mut stream: TcpStream| {
        let (mut answers, mut buffer) = (Answers::default(), Vec::with_capacity(64 * 1024));
        loop {
            let (number, sent) = (next.get(), Instant::now());
            if number >= most || sent >= until {
                return answers;
            }
            next.set(number + 1);
            if !answers.ask(&mut stream, &requests[number % requests.len()], &mut buffer, sent).await {
                return answers;
            }
        }
    };
    let lanes: FuturesUnordered<_> = streams.into_iter().map(lane).collect();
    let answers: Vec<Answers> = lanes.collect().await;
    let took = began.elapsed();
    Run::of(answers.into_iter().chain([unconnected]), next.get() > requests.len(), took)
}
