//! One token that takes the places of all others.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;

use super::Outcome;
use crate::processes::Result;
use crate::socket;
use crate::target::Target;

const DROPPED: usize = 2_000;
/// More than there are places.
const KEPT: usize = 1_500;
/// The most sockets that connect at the same time.
const LANES: usize = 32;
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the places stay taken.
const STAY: Duration = Duration::from_secs(4);
/// Until they are given back.
const SETTLE: Duration = Duration::from_secs(1);

pub async fn attack(target: &Target<'_>) -> Result<Outcome> {
    let [taker, other, third] = [target.credential("taker")?, target.credential("other")?, target.credential("third")?];
    // Breaks off, and comes back at the end.
    let (parked, connected) = socket::connect(target.service, &other).await?;
    drop(parked);
    let key = connected["connectionDetails"]["connectionKey"].as_str().ok_or("no key of a connection")?;

    drop(connect(target, &taker, DROPPED, false).await);
    let taken = connect(target, &taker, KEPT, true).await;
    let is_new_in = can_connect(target, &third).await;
    let is_backend_in = can_connect(target, &target.key()?).await;
    sleep(STAY).await;
    drop(taken);
    sleep(SETTLE).await;
    let resumed = timeout(PATIENCE, socket::connect(target.service, &format!("{other}&resume={key}"))).await;
    let is_resumed = matches!(&resumed, Ok(Ok((_, first))) if first["connectionId"] == connected["connectionId"]);
    Ok(Outcome {
        sent: DROPPED + KEPT,
        late: None,
        besides: vec![
            ("another token refused", usize::from(!is_new_in)),
            ("the key refused", usize::from(!is_backend_in)),
            ("a connection of another not resumed", usize::from(!is_resumed)),
        ],
    })
}

/// Connects this many sockets, `LANES` at a time, and returns those that stay open.
async fn connect(
    target: &Target<'_>,
    credential: &str,
    count: usize,
    is_kept: bool,
) -> Vec<WebSocketStream<TcpStream>> {
    let lane = async |_| {
        let mut kept = Vec::new();
        for _ in 0..count / LANES {
            let connected = timeout(PATIENCE, socket::connect(target.service, credential)).await;
            if let (Ok(Ok((socket, _))), true) = (connected, is_kept) {
                kept.push(socket);
            }
        }
        kept
    };
    join_all((0..LANES).map(lane)).await.into_iter().flatten().collect()
}

async fn can_connect(target: &Target<'_>, credential: &str) -> bool {
    matches!(timeout(PATIENCE, socket::connect(target.service, credential)).await, Ok(Ok(_)))
}
