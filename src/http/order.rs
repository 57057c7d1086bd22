//! Keeps the serials of live rooms below a ceiling in the database, so that their order outlives a restart and a clock
//! that goes back (docs/order.md).

use std::time::Duration;

use super::State;
use crate::domain::resource::ResourceId;
use crate::realtime::{Hub, SPARE_MILLIS};
use crate::service::serial_ceilings::{self, Raised};
use crate::service::{Context, ServiceError};

/// How often it is checked whether a ceiling is near; each is raised seconds before it is reached.
const CHECK: Duration = Duration::from_secs(1);

/// Has the serials of a resource begin after those of every other node, if no room of it is live here yet.
///
/// # Errors
/// The database is not available: no room can begin.
pub async fn begin(state: &State, resource: ResourceId) -> Result<(), ServiceError> {
    if state.hub.ceiling_to_begin(resource).is_none() {
        return Ok(());
    }
    let _turn = state.hub.beginning().await;
    match state.hub.ceiling_to_begin(resource) {
        Some(ceiling) => raise(&state.ctx, &state.hub, &[(resource, ceiling)], SPARE_MILLIS).await,
        None => Ok(()), // another one was quicker
    }
}

/// Raises the ceilings of resources that are live, again and again. While the database is away, rooms go on without.
pub(super) async fn keep(state: &State) {
    loop {
        tokio::time::sleep(CHECK).await;
        let due = state.hub.ceilings_due();
        if !due.is_empty()
            && let Err(error) = raise(&state.ctx, &state.hub, &due, 0).await
        {
            error.log("the ceiling of serials can't be raised: a restart may repeat some");
        }
    }
}

async fn raise(ctx: &Context, hub: &Hub, to: &[(ResourceId, u64)], spare: u64) -> Result<(), ServiceError> {
    for Raised { resource, before, ceiling } in serial_ceilings::raise(ctx, to, spare).await? {
        hub.ceiling_raised(resource, before.unsigned_abs(), ceiling.unsigned_abs());
    }
    Ok(())
}
