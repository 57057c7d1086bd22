//! A load at a fixed rate, whatever the answers take: each is timed from the instant at which its request was due.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::exchange::exchange;

/// Each is due in its turn. Of fewer, one would often be due before it was answered: then it is they that are measured.
const CONNECTIONS: usize = 64;

/// What a run measured.
#[derive(Default)]
pub struct Paced {
    /// How long each answer took, in milliseconds, by the name of what was asked, the quickest first.
    pub millis: BTreeMap<&'static str, Vec<f64>>,
    /// Answers that were none, or no 2xx.
    pub failed: usize,
}

impl Paced {
    /// Takes what another run measured to what this one did.
    pub fn add(&mut self, other: Self) {
        self.failed += other.failed;
        for (name, millis) in other.millis {
            let all = self.millis.entry(name).or_default();
            all.extend(millis);
            all.sort_by(f64::total_cmp);
        }
    }

    pub fn percentile(&self, name: &str, part: f64) -> f64 {
        let millis = self.millis.get(name).map_or(&[][..], Vec::as_slice);
        millis.get((millis.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Sends `rate` requests a second. `request` makes the n-th, with a name for it, while there is time.
pub fn pace(
    address: SocketAddr,
    rate: f64,
    duration: Duration,
    request: impl Fn(usize) -> (&'static str, Vec<u8>) + Sync,
) -> Paced {
    let began = Instant::now();
    let drive = |first: usize| {
        let mut paced = Paced::default();
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return paced };
        let connect = || runtime.block_on(TcpStream::connect(address));
        let (mut stream, mut buffer) = (connect(), Vec::with_capacity(64 * 1024));
        for n in (first..).step_by(CONNECTIONS) {
            let due = began + Duration::from_secs_f64(n as f64 / rate);
            if due > began + duration {
                break;
            }
            let (name, request) = request(n);
            thread::sleep(due.saturating_duration_since(Instant::now())); // finer than a runtime's
            let Ok(open) = &mut stream else {
                paced.failed += 1;
                stream = connect();
                continue;
            };
            match runtime.block_on(exchange(open, &request, &mut buffer)) {
                Ok((true, _)) => paced.millis.entry(name).or_default().push(due.elapsed().as_secs_f64() * 1e3),
                Ok((false, _)) => paced.failed += 1,
                Err(_) => {
                    paced.failed += 1;
                    stream = connect();
                }
            }
        }
        paced
    };
    let mut all = Paced::default();
    thread::scope(|scope| {
        let drive = &drive;
        let threads: Vec<_> = (0..CONNECTIONS).map(|first| scope.spawn(move || drive(first))).collect();
        for thread in threads {
            all.add(thread.join().unwrap_or(Paced { failed: 1, ..Paced::default() }));
        }
    });
    all
}
