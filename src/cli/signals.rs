//! The signals that end the process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancelled by signals that end the process.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// By the first one: what runs may be finished.
    pub first: CancellationToken,
    /// By the second one: it ends at once.
    pub second: CancellationToken,
}

/// Waits for a signal; for ever if there is none to wait for.
pub async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Listens for SIGTERM and SIGINT, and for SIGHUP if `ends_by_hangup`.
///
/// # Errors
/// A signal can't be listened for.
pub fn ending(ends_by_hangup: bool) -> io::Result<Ending> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = if ends_by_hangup { Some(signal(SignalKind::hangup())?) } else { None };
    let ending = Ending::default();
    let tokens = ending.clone();
    tokio::task::spawn_local(async move {
        for token in [tokens.first, tokens.second] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = received(&mut hangup) => {}
            }
            tracing::info!("stopping");
            token.cancel();
        }
    });
    Ok(ending)
}
