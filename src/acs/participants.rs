//! A room's roster: list and change (acs-rooms.md, R6 and R7).

use actix_web::web::{Bytes, Path, ThinData};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::body::{self, Entries, Unread};
use super::error::{ApiError, Detail};
use super::version::Version;
use crate::domain::raw_id::RawIdError;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::roster::{Participant, RosterChange};
use crate::http::State;
use crate::service;

/// Raw id to object or null, in the order of the body.
pub type GivenRoster = Entries<Option<GivenParticipant>>;

/// What is said of a participant.
#[derive(Debug, Deserialize)]
pub struct GivenParticipant {
    role: Option<String>,
    #[serde(flatten)]
    _unread: Unread,
}

/// A merge patch of the roster. An object sets the role, or Attendee if it names none; null removes.
#[derive(Debug, Deserialize)]
struct PatchRoster {
    participants: Option<GivenRoster>,
    #[serde(flatten)]
    _unread: Unread,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ParticipantView<'a> {
    raw_id: &'a str,
    role: &'static str,
}

#[derive(Debug, Serialize)]
struct ParticipantPage<'a> {
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

/// So many wrong roles are told in one answer.
const DETAILS: usize = 20;

/// The whole roster, in the order in which it grew.
pub async fn list(
    ThinData(state): ThinData<State>,
    caller: Caller,
    room: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let room: RoomId = room.parse()?;
    let roster = service::rosters::list(&state.ctx, caller.resource, room).await?;
    let value = roster.iter().map(|p| ParticipantView { raw_id: p.raw_id.as_str(), role: p.role.as_str() }).collect();
    Ok(HttpResponse::Ok().json(ParticipantPage { value }))
}

/// Adds participants to a room, changes their roles, and removes them.
///
/// Participants that are not named stay as they are. One that is malformed refuses the whole patch.
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
    service::rosters::change(&state.ctx, caller.resource, room, &change).await?;
    Ok(HttpResponse::Ok().json(serde_json::Map::new()))
}
