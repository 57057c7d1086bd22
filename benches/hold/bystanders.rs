//! Honest clients beside an attack, and what is seen of the service meanwhile.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use crate::asks;
use crate::attacks::{self, Attack, Outcome};
use crate::client::{Client, MESSAGE};
use crate::cores::Cores;
use crate::pace::{Paced, pace};
use crate::processes::{Result, Service};
use crate::target::Target;

/// Gets a second, at fixed times.
pub const RATE: f64 = 200.0;
/// How often memory is read.
const SAMPLE: Duration = Duration::from_millis(100);
/// How often it is asked whether the service lives, and how long that may take.
const PROBE: Duration = Duration::from_millis(500);
pub const PROBE_PATIENCE: Duration = Duration::from_secs(1);
/// How often something is published where the listener is.
const EVERY: Duration = Duration::from_secs(5);
/// Until honest clients are there; and after the last message, until the listener is told.
const SETTLE: Duration = Duration::from_secs(1);

/// Measurements taken during an attack.
pub struct Watched {
    pub outcome: Outcome,
    /// Resident at most, in MiB.
    pub worst: f64,
    pub gets: Paced,
    /// The longest that a probe took; infinite if one was not answered.
    pub probe_ms: f64,
    /// The listener's failure, if it failed.
    pub listener: Option<String>,
}

/// Gets for so long.
pub fn gets(target: &Target<'_>, span: Duration) -> Paced {
    pace(target.address, RATE, span, |_| asks::get(&target.signer, target.room))
}

/// Attacks, and watches.
pub fn watch(attack: &Attack, target: &Target<'_>, cores: Cores) -> Result<Watched> {
    let (is_over, token) = (AtomicBool::new(false), target.token("listener")?);
    thread::scope(|scope| {
        let listening = scope.spawn(|| listen(target.service, &token, &is_over).err().map(|error| error.to_string()));
        thread::sleep(SETTLE);
        let sampling = scope.spawn(|| sample(target, &is_over));
        let probing = scope.spawn(|| probe(target.address, &is_over));
        let attacking = scope.spawn(|| {
            thread::sleep(SETTLE); // the gets begin first, on connections that the service knows then
            // An error is of no type that a thread could hand over.
            attacks::run(attack, target, cores).map_err(|error| error.to_string())
        });
        let gets = gets(target, SETTLE + attack.span);
        let outcome = attacking.join();
        is_over.store(true, Ordering::Relaxed);
        Ok(Watched {
            outcome: outcome.map_err(|_| "the attack panicked")??,
            worst: sampling.join().map_err(|_| "the sampler panicked")?,
            gets,
            probe_ms: probing.join().map_err(|_| "the probe panicked")?,
            listener: listening.join().map_err(|_| "the listener panicked")?,
        })
    })
}

fn sample(target: &Target<'_>, is_over: &AtomicBool) -> f64 {
    let mut worst = 0.0_f64;
    while !is_over.load(Ordering::Relaxed) {
        worst = worst.max(target.resident_mib().unwrap_or(f64::INFINITY));
        thread::sleep(SAMPLE);
    }
    worst
}

/// Asks over a new connection each time, as whoever watches over containers does.
fn probe(address: SocketAddr, is_over: &AtomicBool) -> f64 {
    let mut longest = 0.0_f64;
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let took = if is_alive(address).unwrap_or(false) { began.elapsed().as_secs_f64() * 1e3 } else { f64::INFINITY };
        longest = longest.max(took);
        thread::sleep(PROBE);
    }
    longest
}

fn is_alive(address: SocketAddr) -> io::Result<bool> {
    // Twice: one that comes late is told by its time.
    let mut stream = TcpStream::connect_timeout(&address, 2 * PROBE_PATIENCE)?;
    stream.set_read_timeout(Some(2 * PROBE_PATIENCE))?;
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(status == *b"HTTP/1.1 200")
}

/// Hears what another client says in a room, until the attack is over; an error if it misses something.
fn listen(service: &Service, token: &str, is_over: &AtomicBool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut speaker = Client::connect(service, token).await?;
        let mut listener = Client::connect(service, token).await?;
        speaker.attach("hall").await?;
        listener.attach("hall").await?;
        let (mut said, mut told) = (0, 0);
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !is_over.load(Ordering::Relaxed) {
            tokio::select! {
                _ = ticks.tick() => {
                    speaker.say("hall").await?;
                    said += 1;
                }
                heard = speaker.hear(SAMPLE) => drop(heard?),
            }
            told += messages(&mut listener, SAMPLE).await?;
        }
        told += messages(&mut listener, SETTLE).await?;
        if told == said { Ok(()) } else { Err(format!("told {told} of {said}").into()) }
    })
}

async fn messages(listener: &mut Client, span: Duration) -> Result<usize> {
    Ok(listener.hear(span).await?.iter().filter(|frame| frame.action == MESSAGE).count())
}
