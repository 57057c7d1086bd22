//! What it costs to be let into a room: alone in it, over one connection, one attach after the other.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::backend::Backend;
use crate::client::Client;
use crate::processes::{Result, Service};
use crate::table::Delays;

/// So many of each kind.
pub const ATTACHES: usize = 2_000;
/// So many before any is measured.
const WARM_UP: usize = 100;
/// For each frame: of 250 a second and more, the service reads a client's frames later.
const PACE: Duration = Duration::from_millis(4);
const NAME: &str = "bench-managed";

/// Prints how long it took. The kinds take turns, so that what else the machine does slows all of them.
pub async fn measure(service: &Service) -> Result<()> {
    let mut backend = Backend::connect(service).await?;
    let user = backend.user().await?;
    let roster = || json!({ user.id.as_str(): { "role": "Attendee" } });
    let by_id = backend.room(roster()).await?;
    backend.named_room(NAME, roster()).await?;
    let rooms = [
        ("attach to a managed room, by its id", &*by_id),
        ("  by its name", NAME),
        ("  to a room that no backend made", "bench-unmanaged"),
    ];

    let mut client = Client::connect(service, &user.token).await?;
    let mut beats = Delays::default();
    let mut attaches = rooms.map(|_| Delays::default());
    for round in 0..WARM_UP + ATTACHES {
        let is_measured = round >= WARM_UP;
        sleep(PACE).await;
        keep(&mut beats, client.beat().await?, is_measured);
        for ((_, room), took) in rooms.iter().zip(&mut attaches) {
            sleep(2 * PACE).await;
            keep(took, client.attach(room).await?, is_measured);
            client.detach(room).await?;
        }
    }
    for ((what, _), took) in rooms.iter().zip(&mut attaches) {
        took.print(what, "us", None);
    }
    beats.print("  a heartbeat and its answer, for comparison", "us", None);
    Ok(())
}

fn keep(delays: &mut Delays, took: Duration, is_measured: bool) {
    if is_measured {
        delays.0.push(took.as_secs_f64() * 1e6);
    }
}
