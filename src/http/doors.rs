//! Managed rooms and those who are in them: what a backend writes reaches the living at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::State;
use crate::domain::door::{Door, Refused};
use crate::domain::raw_id::RawId;
use crate::domain::resource::ResourceId;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::realtime::{Entry, Inside};
use crate::service::{self, ServiceError};

/// How often the table is looked at for what was changed through another replica, or has begun or
/// ended by the clock.
const LOOK: Duration = Duration::from_millis(250);
/// Every how many looks the tokens of users are looked at, too.
const TOKENS: u32 = 4;

/// How somebody may enter: with the role of the roster, or as a backend.
pub struct Admitted {
    pub role: Option<Role>,
    pub entry: Entry,
}

/// Reads whether `user`, or a backend (`None`), may be in a managed room now.
pub async fn admit(
    state: &State,
    resource: ResourceId,
    room: RoomId,
    user: Option<&Arc<str>>,
) -> Result<Result<Admitted, Refused>, ServiceError> {
    let turn = state.hub.turn(resource, room);
    let asked: Vec<&str> = user.into_iter().map(|user| &**user).collect();
    let door = service::doors::find(&state.ctx, resource, room, &asked).await?;
    let Some(door) = door else { return Ok(Err(Refused::NoSuchRoom)) };
    let role = match user.map(|user| door.admit(user, state.ctx.clock.now())).transpose() {
        Ok(role) => role,
        Err(refused) => return Ok(Err(refused)),
    };
    let entry = Entry { room, user: user.cloned(), seen: (door.validity, door.version), turn };
    Ok(Ok(Admitted { role, entry }))
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
/// change is acknowledged. If that can't be read now, the watch does it as soon as it can.
pub async fn changed(state: &State, resource: ResourceId, room: RoomId) {
    let Some(users) = state.hub.changed(resource, room) else { return };
    let users: Vec<&str> = users.iter().map(|user| &**user).collect();
    match service::doors::find(&state.ctx, resource, room, &users).await {
        Ok(door) => state.hub.judge(resource, room, door.as_ref(), state.ctx.clock.now()),
        Err(error) => tracing::warn!(error = ?error, %room, "who is in the room is not judged again yet"),
    }
}

/// A user's tokens were revoked, or the user deleted: its connections end.
pub async fn revoked(state: &State, id: &RawId) {
    let Some((resource, user)) = id.guids() else { return };
    match service::doors::tokens_valid_from(&state.ctx, &[(resource, user)]).await {
        Ok(from) => {
            let id = RawId::new(resource, user); // as tokens spell it
            state.hub.revoke(resource, id.as_str(), from.get(&(resource, user)).copied());
        }
        Err(error) => tracing::warn!(error = ?error, "the connections of a user are not parted from yet"),
    }
}

/// Looks again and again whether all who are in managed rooms may still be there, until `stop` is cancelled.
pub async fn watch(state: State, stop: CancellationToken) {
    let mut look = 0_u32;
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        look = look.wrapping_add(1);
        if let Err(error) = look_at_rooms(&state).await {
            tracing::warn!(error = ?error, "who is in which managed room can't be looked at");
        }
        if look.is_multiple_of(TOKENS)
            && let Err(error) = look_at_tokens(&state).await
        {
            tracing::warn!(error = ?error, "the tokens of connected users can't be looked at");
        }
    }
}

async fn look_at_rooms(state: &State) -> Result<(), ServiceError> {
    let managed = state.hub.managed();
    if managed.is_empty() {
        return Ok(());
    }
    let rooms: Vec<(ResourceId, RoomId)> = managed.iter().map(|(room, _)| *room).collect();
    let versions = service::doors::versions(&state.ctx, &rooms).await?;
    let now = state.ctx.clock.now();
    for (room, seen) in managed {
        let is_closed = now < seen.0.from() || now >= seen.0.until();
        if is_closed || versions.get(&room) != Some(&seen) {
            changed(state, room.0, room.1).await;
        }
    }
    Ok(())
}

async fn look_at_tokens(state: &State) -> Result<(), ServiceError> {
    let guids = |id: &str| id.parse::<RawId>().ok().and_then(|raw| raw.guids());
    let users = state.hub.users().into_iter().filter_map(|((_, id), oldest)| Some((guids(&id)?, id, oldest)));
    let users: Vec<_> = users.collect();
    if users.is_empty() {
        return Ok(());
    }
    let asked: Vec<(ResourceId, Uuid)> = users.iter().map(|(user, ..)| *user).collect();
    let valid_from = service::doors::tokens_valid_from(&state.ctx, &asked).await?;
    for (user, id, oldest) in users {
        let from = valid_from.get(&user).copied();
        if from.is_none_or(|from| oldest < from) {
            state.hub.revoke(user.0, &id, from);
        }
    }
    Ok(())
}
