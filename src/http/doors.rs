//! Managed rooms and those who are in them: what a backend writes reaches the living at once.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::{State, order};
use crate::domain::door::{Door, Refused};
use crate::domain::raw_id::RawId;
use crate::domain::resource::ResourceId;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::realtime::{Entry, Grant, Inside, Read, Who};
use crate::service::changes::Change;
use crate::service::{self, ServiceError};

/// How often a room is read that others enter at the same time.
const ATTEMPTS: usize = 5;

/// How somebody may enter.
pub struct Admitted {
    /// The role of the roster; a backend has none, and nobody has one in a room that no backend made.
    pub role: Option<Role>,
    pub grant: Grant,
    pub entry: Entry,
}

/// Reads whether somebody may be in a room now, which they call by its id or by a name.
pub async fn admit(
    state: &State,
    resource: ResourceId,
    called: &str,
    who: &Who,
) -> Result<Result<Admitted, Refused>, ServiceError> {
    order::begin(state, resource).await?;
    let turn = state.hub.turn(resource, called);
    let user = who.user();
    let door = match called.parse::<RoomId>() {
        // What has the form of an id is never a name, and an id has one spelling.
        Ok(room) if room.to_string() != called => return Ok(Err(Refused::NoSuchRoom)),
        Ok(room) => match service::doors::find_for(&state.ctx, resource, room, user).await? {
            Some(door) => Some(door),
            None => return Ok(Err(Refused::NoSuchRoom)),
        },
        Err(_) => {
            let named = service::doors::find_by_name_for(&state.ctx, resource, called, user).await?;
            if named.door.is_none() && !named.is_open {
                return Ok(Err(Refused::NoNamedRooms));
            }
            named.door
        }
    };
    let (role, grant) = match door.as_ref().map(|door| Grant::at(door, who, state.ctx.clock.now())).transpose() {
        Ok(granted) => granted.unwrap_or((None, Grant::ALL)),
        Err(refused) => return Ok(Err(refused)),
    };
    let entry = Entry { called: called.into(), turn, managed: door.as_ref().map(Read::from) };
    Ok(Ok(Admitted { role, grant, entry }))
}

/// Who is in a room now, with its door for them.
///
/// # Errors
/// `RoomNotFound`.
pub async fn inside(state: &State, resource: ResourceId, room: RoomId) -> Result<(Inside, Door), ServiceError> {
    let inside = state.hub.inside(resource, room);
    let users: HashSet<&str> = inside.users.iter().map(|user| &**user).collect();
    let users: Vec<&str> = users.into_iter().collect();
    let door = service::doors::find(&state.ctx, resource, room, &users).await?;
    Ok((inside, door.ok_or(ServiceError::RoomNotFound)?))
}

/// A room was changed, and that is kept: all who are in it are judged by what it is now, before the
/// change is acknowledged. The other replicas are told.
pub async fn changed(state: &State, resource: ResourceId, room: RoomId, name: Option<&RoomName>) {
    state.told.add(Change::Room(resource, room));
    judge(state, resource, room, name).await;
}

/// A room was made that has a name: who was in a room of that name is judged by its roster.
pub async fn named(state: &State, resource: ResourceId, room: RoomId, name: &RoomName) {
    state.told.add(Change::Named);
    judge(state, resource, room, Some(name)).await;
}

/// A user's tokens were revoked, or the user deleted: its connections end. The other replicas are told.
pub async fn revoked(state: &State, id: &RawId) {
    let Some((resource, user)) = id.guids() else { return };
    state.told.add(Change::User(resource, user));
    part_from_revoked(state, resource, user).await;
}

/// Parts from the connections of a user whose tokens are not good any more.
pub(super) async fn part_from_revoked(state: &State, resource: ResourceId, user: Uuid) {
    match service::doors::standings(&state.ctx, &[(resource, user)]).await {
        Ok(standings) => {
            let id = RawId::new(resource, user); // as tokens spell it
            state.hub.revoke(resource, id.as_str(), standings.get(&(resource, user)).copied());
        }
        Err(error) => error.log("the connections of a user are not parted from yet"),
    }
}

/// Judges all who are in a room by what it is now. If that can't be read now, the watch does it as soon as it can.
pub(super) async fn judge(state: &State, resource: ResourceId, room: RoomId, name: Option<&RoomName>) {
    let _turn = state.hub.judging(resource, room).await;
    for _ in 0..ATTEMPTS {
        let Some(users) = state.hub.changed(resource, room, name) else { return };
        let asked: Vec<&str> = users.iter().map(|user: &Arc<str>| &**user).collect();
        match service::doors::find(&state.ctx, resource, room, &asked).await {
            Ok(door) => {
                if !state.hub.judge(resource, room, door.as_ref(), &users, state.ctx.clock.now()) {
                    return;
                }
            }
            Err(error) => {
                return error.log("who is in the room is not judged again yet");
            }
        }
    }
    state.hub.look_again(resource, room);
}
