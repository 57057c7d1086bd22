//! Answers that are asked for and never read.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use futures_util::SinkExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;

use super::Outcome;
use crate::asks::VERSION;
use crate::processes::Result;
use crate::socket;
use crate::target::Target;
use crate::wire;

const SOCKETS: usize = 400;
const WEB_SOCKETS: usize = 40;
/// For an answer to be read.
const DEADLINE: Duration = Duration::from_secs(30);
/// Until what the system takes is full, and the deadline begins. Pages take longer: requests that are pipelined are
/// handled a few at a time, and the system takes megabytes for each socket.
const FULL: Duration = Duration::from_secs(3);
const FULL_OF_PAGES: Duration = Duration::from_secs(30);
const ID: usize = 500_000;
/// The bytes of requests that the service reads before it answers one; the rest waits in the system's buffers.
const READ: usize = 16 * 1024;

/// Half ask for pages of rooms, as a backend may, and half for the description of the API, as anybody may.
pub async fn pages(target: &Target<'_>) -> Result<Outcome> {
    let page = target.signer.request("GET", &format!("/rooms?{VERSION}"), "", "");
    let description = target.plain("GET", "/openapi.yaml", "");
    let (mut ports, mut sent) = (HashSet::new(), 0);
    for request in [page, description] {
        let sockets = wire::dial(target.address, SOCKETS / 2, &request).await?;
        ports.extend(wire::ports(&sockets)?);
        for mut socket in sockets {
            sent += READ / request.len();
            let requests = request.repeat(8);
            spawn_local(async move { while socket.write_all(&requests).await.is_ok() {} });
        }
    }
    sleep_until(Instant::now() + FULL_OF_PAGES + DEADLINE + wire::GRACE).await;
    Ok(Outcome { sent, late: Some(wire::held(target, &ports)?), besides: Vec::new() })
}

/// Each is sent back with its id.
pub async fn heartbeats(target: &Target<'_>) -> Result<Outcome> {
    let credential = target.credential("beats")?;
    let beat = format!(r#"{{"action":0,"id":"{}"}}"#, "x".repeat(ID));
    let (mut ports, sent, began) = (HashSet::new(), Rc::new(Cell::new(0)), Instant::now());
    for _ in 0..WEB_SOCKETS {
        let (mut socket, _) = socket::connect(target.service, &credential).await?;
        ports.extend(wire::ports([socket.get_ref()])?);
        let beat = beat.clone();
        let sent = Rc::clone(&sent);
        spawn_local(async move {
            while socket.send(Message::text(beat.clone())).await.is_ok() {
                sent.set(sent.get() + 1);
            }
        });
    }
    sleep_until(began + FULL + DEADLINE + wire::GRACE).await;
    Ok(Outcome { sent: sent.get(), late: Some(wire::held(target, &ports)?), besides: Vec::new() })
}
