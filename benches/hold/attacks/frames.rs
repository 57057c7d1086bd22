//! Frames of WebSockets that claim to be large.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Outcome;
use crate::processes::Result;
use crate::socket;
use crate::target::Target;
use crate::wire;

/// How many sockets announce a frame that is too large, and how many one of an allowed size.
const EACH: usize = 100;
const TOO_LARGE: u64 = 1 << 40;
const ALLOWED: u64 = 500 * 1024;
const PIECE: usize = 1024;
const EVERY: Duration = Duration::from_millis(250);
/// How long the close frame may take, and reading what a refused client still sends.
const FAREWELL: Duration = Duration::from_secs(2);
/// For a client that says nothing: part of a frame is nothing.
const SILENT: Duration = Duration::from_secs(30);

pub async fn claim(target: &Target<'_>) -> Result<Outcome> {
    let credential = target.credential("claims")?;
    let (refused, refusals) = sockets(target, &credential, TOO_LARGE).await?;
    let (slow, _) = sockets(target, &credential, ALLOWED).await?;
    let began = Instant::now();
    sleep_until(began + FAREWELL + wire::GRACE).await;
    let mut late = wire::held(target, &refused)?;
    sleep_until(began + SILENT + FAREWELL + wire::GRACE).await;
    late += wire::held(target, &slow)?;
    let mut untold = 0;
    for refusal in refusals {
        untold += usize::from(!refusal.await?);
    }
    let pieces = 2 * EACH + EACH * (SILENT.as_millis() / EVERY.as_millis()) as usize;
    Ok(Outcome { sent: pieces, late: Some(late), besides: vec![("not told 1009", untold)] })
}

type Ports = HashSet<u16>;

/// Sockets on which a frame begins that claims so much; whether each was told that it is too large.
async fn sockets(target: &Target<'_>, credential: &str, claimed: u64) -> Result<(Ports, Vec<JoinHandle<bool>>)> {
    let (mut ports, mut told) = (Ports::new(), Vec::new());
    for _ in 0..EACH {
        let (socket, _) = socket::connect(target.service, credential).await?;
        ports.extend(wire::ports([socket.get_ref()])?);
        told.push(spawn_local(send(socket, claimed)));
    }
    Ok((ports, told))
}

async fn send(mut socket: WebSocketStream<TcpStream>, claimed: u64) -> bool {
    let until = Instant::now() + SILENT + FAREWELL + wire::GRACE;
    let header = [&[0x82, 0xff][..], &claimed.to_be_bytes(), &[0; 4]].concat(); // masked with zeros
    let mut is_told = socket.get_mut().write_all(&header).await.is_err();
    let mut is_open = true;
    while is_open && Instant::now() < until {
        is_open = socket.get_mut().write_all(&[0; PIECE]).await.is_ok();
        while let Ok(heard) = timeout(EVERY, socket.next()).await {
            match heard {
                Some(Ok(Message::Close(reason))) => {
                    is_told = reason.is_some_and(|reason| reason.code == CloseCode::Size)
                }
                Some(Ok(_)) => {}
                _ => return is_told,
            }
        }
    }
    sleep(wire::GRACE).await;
    is_told
}
