//! Who may be in a managed room now.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{Context, ServiceError};
use crate::domain::door::Door;
use crate::domain::issue::Standing;
use crate::domain::resource::ResourceId;
use crate::domain::room_id::RoomId;
use crate::store;
use crate::store::doors::Asked;
pub use crate::store::doors::{Named, Version};

/// A room's door, as far as it concerns `raw_ids`; `None` if there is no such room.
pub async fn find(
    ctx: &Context,
    resource: ResourceId,
    room: RoomId,
    raw_ids: &[&str],
) -> Result<Option<Door>, ServiceError> {
    ctx.run(async |conn| store::doors::find(conn, resource, room, raw_ids).await).await
}

/// A room's door, as far as it concerns who wants to enter; `None` if there is no such room. In one statement with
/// others who want to enter at the same time.
pub async fn find_for(
    ctx: &Context,
    resource: ResourceId,
    room: RoomId,
    user: Option<&Arc<str>>,
) -> Result<Option<Door>, ServiceError> {
    let asked = Asked { resource, room, raw_id: user.cloned() };
    ctx.share(&ctx.batches.doors, asked).await
}

/// What a name leads to, with the door of a managed room as far as it concerns who wants to enter. In one statement
/// with others who want to enter at the same time.
pub async fn find_by_name_for(
    ctx: &Context,
    resource: ResourceId,
    name: &str,
    user: Option<&Arc<str>>,
) -> Result<Named, ServiceError> {
    let asked = Asked { resource, room: name.into(), raw_id: user.cloned() };
    ctx.share(&ctx.batches.named_doors, asked).await
}

/// Of the rooms that no backend had made when they were entered: those that one has made since, by
/// their ids; and by `None`, those of a resource that has no such rooms any more.
pub async fn named(
    ctx: &Context,
    rooms: &[(ResourceId, Arc<str>)],
) -> Result<Vec<((ResourceId, Arc<str>), Option<RoomId>)>, ServiceError> {
    ctx.run(async |conn| store::doors::named(conn, rooms).await).await
}

/// The windows and roster versions of those of the rooms that there are.
pub async fn versions(
    ctx: &Context,
    rooms: &[(ResourceId, RoomId)],
) -> Result<HashMap<(ResourceId, RoomId), Version>, ServiceError> {
    Ok(ctx.run(async |conn| store::doors::versions(conn, rooms).await).await?.into_iter().collect())
}

/// Which tokens stand of those of the users that there are.
pub async fn standings(
    ctx: &Context,
    users: &[(ResourceId, Uuid)],
) -> Result<HashMap<(ResourceId, Uuid), Standing>, ServiceError> {
    Ok(ctx.run(async |conn| store::doors::standings(conn, users).await).await?.into_iter().collect())
}
