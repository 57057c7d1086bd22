//! Managed rooms by the names that backends give them.

use super::rooms::{ID_ATTEMPTS, NewRoom};
use super::{Context, ServiceError};
use crate::domain::resource::ResourceId;
use crate::domain::room::Room;
use crate::domain::room_name::RoomName;
use crate::domain::room_options::RoomOptions;
use crate::store;
use crate::store::new_rooms::Inserted;

/// A room that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GotOrMade {
    pub room: Room,
    /// It was not there before.
    pub is_new: bool,
}

/// The room of that name, with its options.
///
/// # Errors
/// `RoomNotFound`.
pub async fn get(ctx: &Context, resource: ResourceId, name: &RoomName) -> Result<(Room, RoomOptions), ServiceError> {
    ctx.run(async |conn| store::named_rooms::find(conn, resource, name).await).await?.ok_or(ServiceError::RoomNotFound)
}

/// The room of that name, or else `new`, made with it. Whoever asks at the same time gets the same room.
///
/// # Errors
/// `OtherOptions` if the room of that name has other options.
pub async fn get_or_make(
    ctx: &Context,
    resource: ResourceId,
    name: &RoomName,
    options: &RoomOptions,
    new: &NewRoom,
) -> Result<GotOrMade, ServiceError> {
    for _ in 0..ID_ATTEMPTS {
        let found = ctx.run(async |conn| store::named_rooms::find(conn, resource, name).await).await?;
        match found {
            Some((room, its_options)) if its_options == *options => return Ok(GotOrMade { room, is_new: false }),
            Some(_) => return Err(ServiceError::OtherOptions),
            None => {}
        }
        let room = new.with(ctx.room_ids.next(new.created_at), Some(name.clone()));
        let inserted = ctx
            .write(async |conn| store::named_rooms::insert(conn, resource, &room, options, &new.roster).await)
            .await?;
        if inserted == Inserted::Done {
            return Ok(GotOrMade { room, is_new: true });
        }
    }
    Err(ServiceError::Unavailable(None))
}
