//! Heads of requests that never end.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Outcome;
use crate::processes::Result;
use crate::target::Target;
use crate::wire;

const SOCKETS: usize = 400;
const EVERY: Duration = Duration::from_secs(1);
/// How often the sockets are opened for a first head.
const ROUNDS: usize = 2;
/// For the head of the first request, and for that of another.
const FIRST: Duration = Duration::from_secs(2);
const FURTHER: Duration = Duration::from_secs(10);

pub async fn first(target: &Target<'_>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for _ in 0..ROUNDS {
        let sockets = wire::dial(target.address, SOCKETS, b"G").await?;
        outcome.add(slowly(target, &sockets, FIRST).await?);
    }
    Ok(outcome)
}

pub async fn second(target: &Target<'_>) -> Result<Outcome> {
    let request = target.plain("GET", "/health/live", "");
    let mut sockets = wire::dial(target.address, SOCKETS, &request).await?;
    for socket in &mut sockets {
        while socket.read(&mut [0; 4096]).await? == 4096 {} // it is answered
    }
    let mut outcome = slowly(target, &sockets, FURTHER).await?;
    outcome.sent += SOCKETS;
    Ok(outcome)
}

async fn slowly(target: &Target<'_>, sockets: &[TcpStream], deadline: Duration) -> Result<Outcome> {
    let until = Instant::now() + deadline + wire::GRACE;
    let sent = wire::trickle(sockets, b"G", EVERY, until).await;
    let late = wire::held(target, &wire::ports(sockets)?)?;
    Ok(Outcome { sent, late: Some(late), besides: Vec::new() })
}

impl Outcome {
    /// Takes what another round came to.
    fn add(&mut self, round: Self) {
        self.sent += round.sent;
        self.late = Some(self.late.unwrap_or(0) + round.late.unwrap_or(0));
    }
}
