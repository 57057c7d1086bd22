//! How many are in a managed room now: ours, beside the operations that the vendor's clients know.

use actix_web::HttpResponse;
use actix_web::web::{Path, ThinData};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::error::ApiError;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::http::{State, doors};

/// Who is in a room, counted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoomOccupancy)]
#[serde(rename_all = "camelCase")]
pub struct OccupancyView {
    /// Clients that are attached to the room.
    connections: u32,
    /// Members that are present in it. One client may be several, and stays for a moment after its connection broke off.
    presence_members: u32,
    /// Of the connections, those that the roster let in, by role; a backend has none.
    by_role: ByRole,
}

/// Connections by role.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = RoomOccupancyByRole)]
#[serde(rename_all = "PascalCase")]
pub struct ByRole {
    presenter: u32,
    attendee: u32,
    consumer: u32,
    collaborator: u32,
}

/// How many are in a room now, on the instance that answers. Ours; the vendor's API has no such operation.
#[utoipa::path(
    get,
    path = "/rooms/{roomId}/occupancy",
    operation_id = "Rooms_GetOccupancy",
    tag = "Rooms",
    params(("roomId" = RoomId, Path, description = "The room's id.")),
    responses((status = OK, description = "The counts.", body = OccupancyView)),
)]
pub async fn get(
    ThinData(state): ThinData<State>,
    caller: Caller,
    room: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let room: RoomId = room.parse()?;
    let (inside, door) = doors::inside(&state, caller.resource, room).await?;
    let mut by_role = ByRole::default();
    for role in inside.users.iter().filter_map(|user| door.roles.get(&**user)) {
        *match role {
            Role::Presenter => &mut by_role.presenter,
            Role::Attendee => &mut by_role.attendee,
            Role::Consumer => &mut by_role.consumer,
            Role::Collaborator => &mut by_role.collaborator,
        } += 1;
    }
    let presence_members = u32::try_from(inside.members.len()).unwrap_or(u32::MAX);
    let connections = inside.connections;
    Ok(HttpResponse::Ok().json(OccupancyView { connections, presence_members, by_role }))
}
