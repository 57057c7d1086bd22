//! Rooms: create, list, get, update, delete (acs-rooms.md, R1 to R5).

use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Path, ThinData};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Caller;
use super::body::Unread;
use super::error::{ApiError, Detail};
use super::participants::GivenRoster;
use super::time::WireTime;
use super::{Acs, body, page, participants, repeat};
use crate::domain::raw_id::RawIdError;
use crate::domain::role::Role;
use crate::domain::room::{Room, RoomChange};
use crate::domain::room_id::RoomId;
use crate::domain::roster::Participant;
use crate::domain::validity::Validity;
use crate::http::{State, doors};
use crate::service;
use crate::service::rooms::NewRoom;

/// A room to be made. Null counts as absent everywhere.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(
    as = CreateRoomRequest,
    examples(json!({
        "participants": {
            "8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-333333333333": { "role": "Presenter" },
            "8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-444444444444": {},
        },
        "pstnDialOutEnabled": false,
    })),
)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "a JSON object")]
pub struct CreateRoom {
    /// The first instant in which the room is open; now, if it is not given. At most 180 days from now.
    valid_from: Option<WireTime>,
    /// The first instant in which it is over; 180 days from now, if it is not given. At most 180 days after `validFrom`.
    valid_until: Option<WireTime>,
    /// Whether calls in the room may dial out to phones; false, if it is not given.
    pstn_dial_out_enabled: Option<bool>,
    /// At most 350 in a room, unless the service is set to another number.
    participants: Option<GivenRoster>,
    #[schema(ignore)]
    #[serde(flatten)]
    _unread: Unread,
}

/// Null leaves a member as it is, unlike in other merge patches: clients send it for what they do not change.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(
    as = UpdateRoomRequest,
    examples(json!({ "pstnDialOutEnabled": true })),
)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "a JSON object")]
pub struct UpdateRoom {
    /// Together with `validUntil`, or not at all.
    valid_from: Option<WireTime>,
    /// Together with `validFrom`, or not at all.
    valid_until: Option<WireTime>,
    /// Whether calls in the room may dial out to phones.
    pstn_dial_out_enabled: Option<bool>,
    #[schema(ignore)]
    #[serde(flatten)]
    _unread: Unread,
}

/// A room as it goes out: every member, always.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CommunicationRoom)]
#[serde(rename_all = "camelCase")]
pub struct RoomView {
    #[schema(value_type = RoomId)]
    id: String,
    created_at: WireTime,
    /// The first instant in which it is open.
    valid_from: WireTime,
    /// The first instant in which it is over.
    valid_until: WireTime,
    /// Whether calls in it may dial out to phones.
    pstn_dial_out_enabled: bool,
}

impl From<&Room> for RoomView {
    fn from(room: &Room) -> Self {
        Self {
            id: room.id.to_string(),
            created_at: WireTime(room.created_at),
            valid_from: WireTime(room.validity.from()),
            valid_until: WireTime(room.validity.until()),
            pstn_dial_out_enabled: room.pstn_dial_out_enabled,
        }
    }
}

/// A page of rooms.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoomsCollection)]
#[serde(rename_all = "camelCase")]
pub struct RoomPage {
    #[schema(max_items = 30)]
    value: Vec<RoomView>,
    /// Where the next page is; absent on the last. Relative if the request named a host without the port that it came to.
    #[schema(
        nullable = false,
        format = "uri-reference",
        examples("http://127.0.0.1:8080/rooms?api-version=2025-03-13&nextLink=OTk0MDU5NTQ3MDE1NzAxOTY5")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

/// Makes a room, with a roster if one is given.
///
/// Sent with the two `Repeatability` headers, it can be sent again: within 24 hours the same request gets the same
/// answer and makes no second room, also when the room was changed or deleted since.
#[utoipa::path(
    post,
    path = "/rooms",
    operation_id = "Rooms_Create",
    tag = "Rooms",
    params(
        (
            "Repeatability-Request-ID" = Option<uuid::Uuid>,
            Header,
            description = "What the request is known by when it comes again.",
        ),
        (
            "Repeatability-First-Sent" = Option<String>,
            Header,
            description = "When it was sent first, an HTTP date. Together with the id, or not at all.",
        ),
    ),
    request_body(content = CreateRoom, content_type = "application/json"),
    responses(
        (
            status = CREATED,
            description = "The room is there.",
            body = RoomView,
            headers(
                ("Location" = String, description = "The room's id."),
                ("Repeatability-Result" = String, description = "`accepted`"),
            ),
        ),
    ),
)]
pub async fn create(
    ThinData(state): ThinData<State>,
    ThinData(acs): ThinData<Acs>,
    caller: Caller,
    req: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    let (ctx, now) = (&state.ctx, state.ctx.clock.now());
    let wanted: CreateRoom = body::read(&req, &body)?;
    let CreateRoom { valid_from, valid_until, pstn_dial_out_enabled, participants, .. } = wanted;
    let wanted = Wanted { valid_from, valid_until, pstn_dial_out_enabled, participants };
    let repeat = repeat::read(&req, caller.body_digest, now, acs.0.clock_skew)?;

    let created = match (new_room(wanted, now, ctx.max_participants), &repeat) {
        (Ok(new), repeat) => service::rooms::create(ctx, caller.resource, &new, repeat.as_ref(), render).await?,
        // What was right when it was sent first may be refused by now: its dates have passed.
        (Err(refused), Some(repeat)) => {
            service::rooms::recall(ctx, caller.resource, repeat, now).await?.ok_or(refused)?
        }
        (Err(refused), None) => return Err(refused),
    };
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, created.room.to_string()))
        .insert_header(("repeatability-result", "accepted"))
        .content_type("application/json")
        .body(created.answer))
}

/// What is asked for of a room that is to be made.
#[derive(Debug)]
pub struct Wanted {
    pub valid_from: Option<WireTime>,
    pub valid_until: Option<WireTime>,
    pub pstn_dial_out_enabled: Option<bool>,
    pub participants: Option<GivenRoster>,
}

/// Every fault of window, roles and size in one answer; raw ids only after those (section 7, order of checks).
pub fn new_room(wanted: Wanted, now: DateTime<Utc>, max_participants: u32) -> Result<NewRoom, ApiError> {
    let validity = Validity::new(wanted.valid_from.map(|t| t.0), wanted.valid_until.map(|t| t.0), now);
    let roles = participants::roles(wanted.participants.unwrap_or_default());
    // Null, which stands in an example of the specification, adds nobody.
    let count = |roles: &[(String, Option<Role>)]| roles.iter().filter(|(_, role)| role.is_some()).count();
    let (validity, roles) = match (validity, roles) {
        (Ok(_), Ok(roles)) if count(&roles) > max_participants as usize => {
            return Err(ApiError::Malformed(vec![Detail::too_many(max_participants)]));
        }
        (Ok(validity), Ok(roles)) => (validity, roles),
        (validity, roles) => {
            let window = validity.err().unwrap_or_default().into_iter().map(Detail::from);
            return Err(ApiError::Malformed(window.chain(roles.err().unwrap_or_default()).collect()));
        }
    };
    let mut roster = Vec::with_capacity(count(&roles));
    for (raw_id, role) in roles {
        let raw_id = raw_id.parse().map_err(|RawIdError(_)| ApiError::RawIdOnCreate)?;
        roster.extend(role.map(|role| Participant { raw_id, role }));
    }
    let pstn_dial_out_enabled = wanted.pstn_dial_out_enabled.unwrap_or(false);
    Ok(NewRoom { created_at: now, validity, pstn_dial_out_enabled, roster: roster.into() })
}

fn render(room: &Room) -> Bytes {
    // Strings, dates and a flag: there is nothing in it that can't be written.
    serde_json::to_vec(&RoomView::from(room)).unwrap_or_default().into()
}

/// Lists the resource's rooms, newest first, also those that are over.
#[utoipa::path(
    get,
    path = "/rooms",
    operation_id = "Rooms_List",
    tag = "Rooms",
    params((
        "nextLink" = Option<String>,
        Query,
        description = "Which page; taken from the `nextLink` of the page before.",
    )),
    responses((status = OK, description = "A page of at most 30 rooms.", body = RoomPage)),
)]
pub async fn list(
    ThinData(state): ThinData<State>,
    caller: Caller,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let before = page::position(&req, caller.resource)?;
    let listed = service::rooms::list(&state.ctx, caller.resource, before, page::SIZE).await?;
    let last = listed.rooms().last().filter(|_| listed.has_more());
    let next_link = last.map(|room| page::next_link(&req, &caller, room.id));
    Ok(HttpResponse::Ok().json(RoomPage { value: listed.rooms().iter().map(RoomView::from).collect(), next_link }))
}

/// One room, also before and after its window.
#[utoipa::path(
    get,
    path = "/rooms/{roomId}",
    operation_id = "Rooms_Get",
    tag = "Rooms",
    params(("roomId" = RoomId, Path, description = "The room's id.")),
    responses((status = OK, description = "The room.", body = RoomView)),
)]
pub async fn get(
    ThinData(state): ThinData<State>,
    caller: Caller,
    room: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let room: RoomId = room.parse()?;
    let room = service::rooms::get(&state.ctx, caller.resource, room).await?;
    Ok(HttpResponse::Ok().json(RoomView::from(&room)))
}

/// Changes a room's window, both ends at once, or its flag.
#[utoipa::path(
    patch,
    path = "/rooms/{roomId}",
    operation_id = "Rooms_Update",
    tag = "Rooms",
    params(("roomId" = RoomId, Path, description = "The room's id.")),
    request_body(content = UpdateRoom, content_type = "application/merge-patch+json"),
    responses((status = OK, description = "The room as it is now.", body = RoomView)),
)]
pub async fn update(
    ThinData(state): ThinData<State>,
    caller: Caller,
    req: HttpRequest,
    room: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    let wanted: UpdateRoom = body::read(&req, &body)?;
    let validity = match (wanted.valid_from, wanted.valid_until) {
        (None, None) => None,
        (Some(WireTime(from)), Some(WireTime(until))) => {
            let validity = Validity::new(Some(from), Some(until), state.ctx.clock.now());
            Some(validity.map_err(|faults| ApiError::Malformed(faults.into_iter().map(Detail::from).collect()))?)
        }
        _ => return Err(ApiError::Malformed(vec![Detail::half_a_window()])),
    };
    let change = RoomChange { validity, pstn_dial_out_enabled: wanted.pstn_dial_out_enabled };
    let room: RoomId = room.parse()?;
    let room = service::rooms::update(&state.ctx, caller.resource, room, &change).await?;
    doors::changed(&state, caller.resource, room.id, room.name.as_ref()).await;
    Ok(HttpResponse::Ok().json(RoomView::from(&room)))
}

/// Deletes a room and its roster.
#[utoipa::path(
    delete,
    path = "/rooms/{roomId}",
    operation_id = "Rooms_Delete",
    tag = "Rooms",
    params(("roomId" = RoomId, Path, description = "The room's id.")),
    responses((status = NO_CONTENT, description = "The room is gone.")),
)]
pub async fn delete(
    ThinData(state): ThinData<State>,
    caller: Caller,
    room: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let room: RoomId = room.parse()?;
    let room = service::rooms::delete(&state.ctx, caller.resource, room).await?;
    doors::changed(&state, caller.resource, room.id, room.name.as_ref()).await;
    Ok(HttpResponse::NoContent().finish())
}
