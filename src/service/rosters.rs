//! Reading and changing who may enter a room.

use std::sync::Arc;

use super::{Context, ServiceError};
use crate::domain::resource::ResourceId;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::roster::{Participant, RosterChange};
use crate::store;
use crate::store::participants::{Applied, Change};

/// The whole roster, in the order in which it grew.
pub async fn list(ctx: &Context, resource: ResourceId, room: RoomId) -> Result<Vec<Participant>, ServiceError> {
    ctx.run(async |conn| store::participants::list(conn, resource, room).await).await?.ok_or(ServiceError::RoomNotFound)
}

/// Adds, re-roles and removes in one step: all of `change` happens, or none of it. Gives the room's name, if it has
/// one.
///
/// # Errors
/// `RoomNotFound`; `TooManyParticipants` if the roster would then hold too many.
pub async fn change(
    ctx: &Context,
    resource: ResourceId,
    room: RoomId,
    change: RosterChange,
) -> Result<Option<RoomName>, ServiceError> {
    if change.is_empty() {
        return super::rooms::get(ctx, resource, room).await.map(|room| room.name);
    }
    let (now, max) = (ctx.clock.now(), ctx.max_participants);
    let change = Change { resource, room, roster: Arc::new(change), now, max };
    let applied = ctx.within(async {
        match ctx.batches.changes.ask(change.clone()).await? {
            // A room that many change at once, or that is held for longer.
            Applied::Overtaken => ctx.run(async |conn| store::participants::apply_in_turn(conn, &change).await).await,
            applied => Ok(applied),
        }
    });
    let applied = applied.await?;
    match applied {
        Applied::Done(name) => Ok(name),
        Applied::NoRoom => Err(ServiceError::RoomNotFound),
        Applied::TooMany => Err(ServiceError::TooManyParticipants { max }),
        Applied::Overtaken => Err(ServiceError::Unavailable(None)),
    }
}
