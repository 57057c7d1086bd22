//! How long requests take at half of what the service can do: sent by a schedule, whether or not others are answered.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::args::Args;
use crate::load::{Answers, Run, connect};
use crate::measure;
use crate::operation::Operation;
use crate::processes::Result;
use crate::requests;
use crate::setup::Setup;
use crate::spread::median;

/// An operation at half of its rate: the medians of the runs, in microseconds.
pub struct Half {
    pub operation: Operation,
    pub connections: usize,
    pub per_second: f64,
    pub p50: f64,
    pub p99: f64,
    pub trouble: Option<String>,
}

/// So often, at most, it is looked what is due: to wake for each of tens of thousands a second takes a third of a core
/// from the service. What is sent later for that is counted as later.
const TICK: Duration = Duration::from_micros(250);

pub const OPERATIONS: [Operation; 2] = [Operation::Get, Operation::Create3];

pub async fn measure(setup: &mut Setup, args: &Args, saturated: &measure::Cell) -> Result<Half> {
    let &measure::Cell { operation, connections, .. } = saturated;
    let per_second = saturated.service.median / 2.0;
    let count = (per_second * args.duration().as_secs_f64()) as usize;
    let mut runs = Vec::new();
    for _ in 0..args.repeats {
        setup.prepare(operation, 0).await?;
        let requests = requests::signed(&setup.service, &setup.rooms, &setup.page, operation, count, 0)?;
        runs.push(at_rate(setup.service.address, &requests, connections, per_second).await?);
    }
    let each = |part| median(&runs.iter().map(|run| run.percentile(part)).collect::<Vec<_>>());
    let trouble = runs.iter().find_map(Run::trouble);
    Ok(Half { operation, connections, per_second, p50: each(0.5), p99: each(0.99), trouble })
}

/// Sends each request once, all the same time apart, on the connections that are free. How long it took is counted from
/// when it was to be sent: so one that had to wait for a connection is not counted as quick.
async fn at_rate(address: SocketAddr, requests: &[Vec<u8>], connections: usize, per_second: f64) -> Result<Run> {
    let apart = Duration::from_secs_f64(1.0 / per_second);
    let (streams, unconnected) = connect(address, connections).await;
    let (due, next) = (Arc::new(Semaphore::new(0)), Cell::new(0));
    let began = Instant::now();
    let lane = async |mut stream: TcpStream| {
        let (mut answers, mut buffer) = (Answers::default(), Vec::with_capacity(64 * 1024));
        loop {
            if let Ok(permit) = due.acquire().await {
                permit.forget();
            }
            let number = next.replace(next.get() + 1);
            let Some(request) = requests.get(number) else { return answers };
            let planned = began + apart.mul_f64((number + 1) as f64);
            if !answers.ask(&mut stream, request, &mut buffer, planned).await {
                return answers;
            }
        }
    };
    let (count, released) = (requests.len(), Arc::clone(&due));
    let releasing = spawn_blocking(move || {
        let done = release(&released, began, apart, count);
        released.add_permits(connections); // each ends
        done
    });
    let lanes: FuturesUnordered<_> = streams.into_iter().map(lane).collect();
    let answers: Vec<Answers> = lanes.collect().await;
    let took = began.elapsed();
    releasing.await??;
    Ok(Run::of(answers.into_iter().chain([unconnected]), false, took))
}

/// Adds a permit whenever one is due, until there were so many. The runtime's own timers are too coarse for that.
fn release(due: &Semaphore, began: Instant, apart: Duration, count: usize) -> nix::Result<()> {
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
    timer.set(Expiration::Interval(apart.max(TICK).into()), TimerSetTimeFlags::empty())?;
    let mut released = 0;
    while released < count {
        timer.wait()?;
        let passed = (began.elapsed().as_secs_f64() / apart.as_secs_f64()) as usize;
        due.add_permits(passed.min(count) - released);
        released = passed.min(count);
    }
    Ok(())
}
