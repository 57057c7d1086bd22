//! Bodies that nobody wants.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

use super::Outcome;
use crate::asks::VERSION;
use crate::processes::Result;
use crate::target::Target;
use crate::wire;

/// For what comes of a body after its answer.
const DISCARD: Duration = Duration::from_secs(5);
const ANSWERED: usize = 400;
const EVERY: Duration = Duration::from_secs(1);
const SIGNED: usize = 300;
const BODY: usize = 1024 * 1024;

/// A request is refused when its head is read, and its body comes in pieces all the same.
pub async fn chunks(target: &Target<'_>) -> Result<Outcome> {
    let head = target.plain("POST", "/nowhere", "Transfer-Encoding: chunked\r\n");
    let mut sockets = wire::dial(target.address, ANSWERED, &head).await?;
    for socket in &mut sockets {
        socket.read_u8().await?; // it is answered
    }
    let until = Instant::now() + DISCARD + wire::GRACE;
    let sent = ANSWERED + wire::trickle(&sockets, b"1\r\nx\r\n", EVERY, until).await;
    let late = wire::held(target, &wire::ports(&sockets)?)?;
    Ok(Outcome { sent, late: Some(late), besides: Vec::new() })
}

/// Whole bodies, or their announcement alone, from who does not have the key.
pub async fn wrongly_signed(target: &Target<'_>, is_sent: bool) -> Result<Outcome> {
    let json = "Content-Type: application/json\r\n";
    let mut request = target.forger.request("POST", &format!("/rooms?{VERSION}"), json, &" ".repeat(BODY));
    let body = request.split_off(request.len() - BODY);
    let body = if is_sent { body } else { Vec::new() };
    let sockets = wire::dial(target.address, SIGNED, &request).await?;
    let (ports, until) = (wire::ports(&sockets)?, Instant::now() + DISCARD + wire::GRACE);
    // Each goes on sending whatever it is answered, and keeps its socket.
    let senders: Vec<_> = sockets.into_iter().map(|socket| spawn_local(send(socket, body.clone(), until))).collect();
    sleep_until(until).await;
    let late = wire::held(target, &ports)?;
    let mut created = 0;
    for sender in senders {
        created += usize::from(!sender.await?);
    }
    Ok(Outcome { sent: SIGNED, late: Some(late), besides: vec![("not refused", created)] })
}

/// Whether the request is refused.
async fn send(mut socket: TcpStream, body: Vec<u8>, until: Instant) -> bool {
    let (mut answers, mut rest) = socket.split();
    let mut status = [0; 12];
    let (_, read) = tokio::join!(rest.write_all(&body), answers.read_exact(&mut status));
    sleep_until(until).await;
    // One that is reset while it sends may lose its answer.
    read.is_err() || status.ends_with(b" 401")
}
