//! Who may be in a managed room now.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Context, ServiceError};
use crate::domain::door::Door;
use crate::domain::resource::ResourceId;
use crate::domain::room_id::RoomId;
use crate::store;
pub use crate::store::doors::Version;

/// A room's door, as far as it concerns `raw_ids`; `None` if there is no such room.
pub async fn find(
    ctx: &Context,
    resource: ResourceId,
    room: RoomId,
    raw_ids: &[&str],
) -> Result<Option<Door>, ServiceError> {
    ctx.run(async |conn| store::doors::find(conn, resource, room, raw_ids).await).await
}

/// The windows and roster versions of those of the rooms that there are.
pub async fn versions(
    ctx: &Context,
    rooms: &[(ResourceId, RoomId)],
) -> Result<HashMap<(ResourceId, RoomId), Version>, ServiceError> {
    Ok(ctx.run(async |conn| store::doors::versions(conn, rooms).await).await?.into_iter().collect())
}

/// Since when the tokens of those of the users are good that there are.
pub async fn tokens_valid_from(
    ctx: &Context,
    users: &[(ResourceId, Uuid)],
) -> Result<HashMap<(ResourceId, Uuid), DateTime<Utc>>, ServiceError> {
    Ok(ctx.run(async |conn| store::doors::tokens_valid_from(conn, users).await).await?.into_iter().collect())
}
