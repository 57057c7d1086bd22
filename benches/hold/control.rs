//! The attack that all others are compared with: requests that are refused at the door.

use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncWriteExt as _, copy, sink};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout_at};

use crate::bystanders;
use crate::cores::Cores;
use crate::pace::Paced;
use crate::processes::Result;
use crate::target::Target;

/// How often requests are sent.
const STEP: Duration = Duration::from_millis(10);

/// Gets while requests for a path that there is none of come at `rate` a second; and the rate that came of it, as a
/// service may take fewer.
pub fn gets_beside_refusals(target: &Target<'_>, cores: Cores, rate: f64, span: Duration) -> Result<(Paced, f64)> {
    thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(target, cores, rate, span).map_err(|error| error.to_string()));
        let gets = bystanders::gets(target, span);
        let sent = flooding.join().map_err(|_| "the flood panicked")??;
        Ok((gets, sent as f64 / span.as_secs_f64()))
    })
}

fn flood(target: &Target<'_>, cores: Cores, rate: f64, span: Duration) -> Result<usize> {
    cores.attack()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let request = target.plain("GET", "/nowhere", "");
        let (mut answers, mut requests) = TcpStream::connect(target.address).await?.into_split();
        let (began, mut sent) = (Instant::now(), 0);
        let sending = async {
            while began.elapsed() < span {
                let due = (began.elapsed().as_secs_f64() * rate) as usize;
                requests.write_all(&request.repeat(due - sent)).await?;
                sent = due;
                sleep(STEP).await;
            }
            Ok::<_, std::io::Error>(())
        };
        // The attacker stops at the end of the span, even if the service has not read everything.
        let until = (began + span).into();
        let mut nowhere = sink();
        let reading = copy(&mut answers, &mut nowhere);
        let (ended, _) = tokio::join!(timeout_at(until, sending), timeout_at(until, reading));
        ended.unwrap_or(Ok(()))?;
        Ok(sent)
    })
}
