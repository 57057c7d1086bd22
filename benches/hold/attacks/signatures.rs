//! Refusals as fast as they can be had: each could be a line of the log.

use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, copy, sink};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::Outcome;
use crate::asks::VERSION;
use crate::processes::Result;
use crate::target::Target;

/// Requests that are written at once.
const AT_ONCE: usize = 50;
/// Almost a whole head.
const LONG: usize = 15_000;

/// Half of the time with short paths, and half with long ones, over one connection each.
pub async fn attack(target: &Target<'_>, span: Duration) -> Result<Outcome> {
    let mut sent = 0;
    for path in ["1".to_owned(), "x".repeat(LONG)] {
        let until = Instant::now() + span / 2;
        let request = target.forger.request("GET", &format!("/rooms/{path}?{VERSION}"), "", "");
        let batch = request.repeat(AT_ONCE);
        let (mut answers, mut requests) = TcpStream::connect(target.address).await?.into_split();
        let sending = async {
            while requests.write_all(&batch).await.is_ok() {
                sent += AT_ONCE;
            }
        };
        let mut nowhere = sink();
        let reading = copy(&mut answers, &mut nowhere);
        let _ = tokio::join!(timeout_at(until, sending), timeout_at(until, reading));
    }
    Ok(Outcome { sent, late: None, besides: Vec::new() })
}
