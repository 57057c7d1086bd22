//! Managed rooms by name: get or make. Ours, beside the operations that the vendor's clients know.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, ThinData};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Caller;
use super::body::{self, Unread};
use super::error::ApiError;
use super::options::{GivenOptions, OptionsView};
use super::participants::GivenRoster;
use super::rooms::{self, RoomView, Wanted};
use super::time::WireTime;
use crate::domain::room::Room;
use crate::domain::room_name::{RoomName, RoomNameError};
use crate::domain::room_options::RoomOptions;
use crate::http::{State, doors, path};
use crate::service;
use crate::service::named_rooms::GotOrMade;

/// The room that is to be there. What it says besides the options is for a new one.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(
    as = PutRoomRequest,
    examples(json!({
        "options": { "occupancy": { "enableEvents": true } },
        "participants": {
            "8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-333333333333": { "role": "Presenter" },
        },
    })),
)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "a JSON object")]
pub struct PutRoom {
    /// As for a room that is made without a name.
    valid_from: Option<WireTime>,
    /// As for a room that is made without a name.
    valid_until: Option<WireTime>,
    /// Whether calls in the room may dial out to phones; false, if it is not given.
    pstn_dial_out_enabled: Option<bool>,
    /// At most 350 in a room, unless the service is set to another number.
    participants: Option<GivenRoster>,
    /// What is fixed for everyone who enters the room; none, if it is not given.
    options: Option<GivenOptions>,
    #[schema(ignore)]
    #[serde(flatten)]
    _unread: Unread,
}

/// A room that has a name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamedRoom)]
pub struct NamedRoomView<'a> {
    #[serde(flatten)]
    room: RoomView,
    name: &'a str,
    options: OptionsView,
}

impl<'a> NamedRoomView<'a> {
    fn new(room: &Room, name: &'a RoomName, options: &RoomOptions) -> Self {
        Self { room: RoomView::from(room), name: name.as_str(), options: OptionsView::from(options) }
    }
}

/// The room of a name: the one that is there, also before and after its window, or else a new one.
///
/// A room that is there stays as it is, and answers with what it is; asked for with other options, it is refused.
/// Clients enter the room by its name or by its id. Who was in a live room of that name before is judged by the
/// roster from now on. A name is free again when its room is deleted. Ours; the vendor's API has no such operation.
#[utoipa::path(
    put,
    path = "/rooms/by-name/{name}",
    operation_id = "Rooms_GetOrCreateByName",
    tag = "Rooms",
    params(("name" = RoomName, Path, description = "What the room is called.")),
    request_body(content = PutRoom, content_type = "application/json"),
    responses(
        (status = OK, description = "The room was there.", body = NamedRoomView<'_>),
        (status = CREATED, description = "The room was made.", body = NamedRoomView<'_>),
    ),
)]
pub async fn put(
    ThinData(state): ThinData<State>,
    caller: Caller,
    req: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    let (ctx, resource) = (&state.ctx, caller.resource);
    let wanted: PutRoom = body::read(&req, &body)?;
    let name = name(&req)?;
    let options = wanted.options.unwrap_or_default().read()?;
    let PutRoom { valid_from, valid_until, pstn_dial_out_enabled, participants, .. } = wanted;
    let wanted = Wanted { valid_from, valid_until, pstn_dial_out_enabled, participants };

    let GotOrMade { room, is_new } = match rooms::new_room(wanted, ctx.clock.now(), ctx.max_participants) {
        Ok(new) => service::named_rooms::get_or_make(ctx, resource, &name, &options, &new).await?,
        // What was right when the room was made may be refused by now: its dates have passed.
        Err(refused) => match service::named_rooms::get(ctx, resource, &name).await {
            Ok((room, its_options)) if its_options == options => GotOrMade { room, is_new: false },
            _ => return Err(refused),
        },
    };
    if is_new {
        doors::named(&state, resource, room.id, &name).await;
    }
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(HttpResponse::build(status).json(NamedRoomView::new(&room, &name, &options)))
}

/// The room of a name. Ours; the vendor's API has no such operation.
#[utoipa::path(
    get,
    path = "/rooms/by-name/{name}",
    operation_id = "Rooms_GetByName",
    tag = "Rooms",
    params(("name" = RoomName, Path, description = "What the room is called.")),
    responses((status = OK, description = "The room.", body = NamedRoomView<'_>)),
)]
pub async fn get(ThinData(state): ThinData<State>, caller: Caller, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let name = name(&req)?;
    let (room, options) = service::named_rooms::get(&state.ctx, caller.resource, &name).await?;
    Ok(HttpResponse::Ok().json(NamedRoomView::new(&room, &name, &options)))
}

fn name(req: &HttpRequest) -> Result<RoomName, ApiError> {
    const PLACE: usize = 2;
    path::segment(req, PLACE).ok_or(RoomNameError::Utf8)?.parse().map_err(ApiError::RoomName)
}
