//! A room's roster: list and change (acs-rooms.md, R6 and R7).

use std::borrow::Cow;
use std::collections::HashMap;

use actix_web::web::{Bytes, Path, ThinData};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::auth::Caller;
use super::body::{self, Entries, Unread};
use super::error::{ApiError, Detail};
use super::names;
use super::version::Version;
use crate::domain::raw_id::{RawId, RawIdError};
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::roster::{Participant, RosterChange};
use crate::http::{State, doors};
use crate::realtime::Inside;
use crate::service;

/// Raw id to object or null, in the order of the body.
pub type GivenRoster = Entries<Option<GivenParticipant>>;

/// What is said of a participant.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ParticipantProperties)]
#[serde(expecting = "a JSON object")]
pub struct GivenParticipant {
    /// Attendee, if it is not given.
    #[schema(value_type = Option<Role>)]
    role: Option<String>,
    #[schema(ignore)]
    #[serde(flatten)]
    _unread: Unread,
}

/// A merge patch of the roster. An object sets the role, or Attendee if it names none; null removes.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(
    as = UpdateParticipantsRequest,
    examples(json!({
        "participants": {
            "8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-333333333333": { "role": "Consumer" },
            "8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-444444444444": null,
        },
    })),
)]
#[serde(expecting = "a JSON object")]
pub struct PatchRoster {
    participants: Option<GivenRoster>,
    #[schema(ignore)]
    #[serde(flatten)]
    _unread: Unread,
}

/// One entry of a roster.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoomParticipant)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantView<'a> {
    /// The raw id, in the spelling in which it was added.
    #[schema(value_type = RawId)]
    raw_id: &'a str,
    #[schema(value_type = Role)]
    role: &'static str,
    /// Where it was asked for.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveView>,
}

/// How a participant is in the room now, on the instance that answers.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[schema(as = LiveParticipant)]
#[serde(rename_all = "camelCase")]
pub struct LiveView {
    /// Its connections that are attached to the room.
    connections: u32,
    /// Whether it is present there.
    is_present: bool,
}

/// A roster, in the order in which it grew.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParticipantsCollection)]
pub struct ParticipantPage<'a> {
    value: Vec<ParticipantView<'a>>,
}

/// The role that each raw id is given, Attendee where none is named; `None` where the body has null.
///
/// # Errors
/// A detail for each text that is no role.
pub fn roles(given: GivenRoster) -> Result<Vec<(String, Option<Role>)>, Vec<Detail>> {
    let mut roles = Vec::with_capacity(given.0.len());
    let mut wrong = Vec::new();
    for (raw_id, participant) in given.0 {
        match participant.map(|p| p.role.map_or(Ok(Role::default()), |role| role.parse())).transpose() {
            Ok(role) => roles.push((raw_id, role)),
            Err(_) if wrong.len() < DETAILS => wrong.push(Detail::role(&raw_id)),
            Err(_) => {}
        }
    }
    if wrong.is_empty() { Ok(roles) } else { Err(wrong) }
}

impl PartialSchema for GivenRoster {
    fn schema() -> RefOr<Schema> {
        let participant = OneOfBuilder::new()
            .item(Ref::from_schema_name(GivenParticipant::name()))
            .item(ObjectBuilder::new().schema_type(Type::Null));
        let map = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(
                "Raw ids of communication users to what they are to be: an object, which adds or changes; or null, which \
                 removes.",
            ))
            .property_names(Some(names::raw_id_pattern()))
            .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(participant.build().into()))));
        map.into()
    }
}

impl ToSchema for GivenRoster {
    fn name() -> Cow<'static, str> {
        "Roster".into()
    }
}

/// Nothing, in an object.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpdateParticipantsResult)]
pub struct Changed {}

/// So many wrong roles are told in one answer.
const DETAILS: usize = 20;

/// The whole roster, in the order in which it grew.
#[utoipa::path(
    get,
    path = "/rooms/{roomId}/participants",
    operation_id = "Participants_List",
    tag = "Rooms",
    params(
        ("roomId" = RoomId, Path, description = "The room's id."),
        (
            "live" = Option<bool>,
            Query,
            description = "True: each participant comes with how it is in the room now. Ours; the vendor's API has no such parameter.",
        ),
    ),
    responses((status = OK, description = "The roster, on one page.", body = ParticipantPage<'_>)),
)]
pub async fn list(
    ThinData(state): ThinData<State>,
    caller: Caller,
    req: HttpRequest,
    room: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let room: RoomId = room.parse()?;
    let wants_live = wants_live(&req)?;
    let roster = service::rosters::list(&state.ctx, caller.resource, room).await?;
    let inside = wants_live.then(|| state.hub.inside(caller.resource, room));
    let live = inside.as_ref().map(live);
    let live = live.as_ref();
    let value = roster.iter().map(|p| {
        let live = live.map(|live| live.get(p.raw_id.as_str()).copied().unwrap_or_default());
        ParticipantView { raw_id: p.raw_id.as_str(), role: p.role.as_str(), live }
    });
    Ok(HttpResponse::Ok().json(ParticipantPage { value: value.collect() }))
}

fn wants_live(req: &HttpRequest) -> Result<bool, ApiError> {
    let mut given = form_urlencoded::parse(req.query_string().as_bytes()).filter(|(name, _)| name == "live");
    match given.next().as_ref().map(|(_, value)| &**value) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ApiError::Live),
    }
}

fn live(inside: &Inside) -> HashMap<&str, LiveView> {
    let mut live: HashMap<&str, LiveView> = HashMap::new();
    for user in &inside.users {
        live.entry(user).or_default().connections += 1;
    }
    for member in &inside.members {
        live.entry(member).or_default().is_present = true;
    }
    live
}

/// Adds participants to a room, changes their roles, and removes them.
///
/// Participants that are not named stay as they are. One that is malformed refuses the whole patch.
#[utoipa::path(
    patch,
    path = "/rooms/{roomId}/participants",
    operation_id = "Participants_Update",
    tag = "Rooms",
    params(("roomId" = RoomId, Path, description = "The room's id.")),
    request_body(content = PatchRoster, content_type = "application/merge-patch+json"),
    responses((status = OK, description = "Every change was made.", body = Changed)),
)]
pub async fn update(
    ThinData(state): ThinData<State>,
    caller: Caller,
    req: HttpRequest,
    room: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    let patch: PatchRoster = body::read(&req, &body)?;
    let roles = roles(patch.participants.unwrap_or_default()).map_err(ApiError::Malformed)?;
    let room: RoomId = room.parse()?;
    let mut change = RosterChange::default();
    for (raw_id, role) in roles {
        let raw_id = raw_id.parse().map_err(|RawIdError(text)| match caller.version {
            Version::Older => ApiError::RawIdOnOlderUpdate,
            Version::Since2025 => ApiError::RawIdOnUpdate(text),
        })?;
        match role {
            Some(role) => change.upserts.push(Participant { raw_id, role }),
            None => change.removals.push(raw_id),
        }
    }
    let name = service::rosters::change(&state.ctx, caller.resource, room, change).await?;
    doors::changed(&state, caller.resource, room, name.as_ref()).await;
    Ok(HttpResponse::Ok().json(Changed {}))
}
