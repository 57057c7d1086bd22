//! Looks after those who are in rooms: by the clock, by what other replicas tell, and again and again by the tables.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{State, doors, order};
use crate::domain::issue::Issue;
use crate::domain::raw_id::RawId;
use crate::domain::resource::ResourceId;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::realtime::Room;
use crate::service::changes::{self, Change, Listener};
use crate::service::{self, ServiceError};

/// How often the clock is looked at: a window that ends is closed so soon.
const CLOCK: Duration = Duration::from_millis(250);
/// How often the tables are: what was told and not heard is repaired so soon.
const TABLES: Duration = Duration::from_secs(1);
/// How long after a failure it is tried to listen again.
const RETRY: Duration = Duration::from_secs(1);
/// How long what is changed after a hint waits for the next one: under load, each hint is for many changes.
const HINTS: Duration = Duration::from_millis(5);
/// So many rooms are read at once.
const AT_ONCE: usize = 8;

/// Looks whether all who are in rooms may still be there, until `stop` is cancelled.
pub async fn watch(state: State, stop: CancellationToken) {
    let watching = async {
        tokio::join!(by_the_clock(&state), by_the_tables(&state), by_ear(&state), tell(&state), order::keep(&state))
    };
    stop.run_until_cancelled(watching).await;
}

async fn by_the_clock(state: &State) {
    loop {
        tokio::time::sleep(CLOCK).await;
        judge_all(state, state.hub.turned(state.ctx.clock.now())).await;
    }
}

/// Some at a time: many rooms end on the hour.
async fn judge_all(state: &State, rooms: Vec<Room>) {
    let judge = async |(resource, room)| doors::judge(state, resource, room, None).await;
    stream::iter(rooms).for_each_concurrent(AT_ONCE, judge).await;
}

async fn by_the_tables(state: &State) {
    loop {
        tokio::time::sleep(TABLES).await;
        look(state).await;
    }
}

/// Looks at everything.
async fn look(state: &State) {
    if let Err(error) = look_at_rooms(state).await {
        error.log("who is in which managed room can't be looked at");
    }
    if let Err(error) = look_at_names(state).await {
        error.log("which rooms a backend made since can't be looked at");
    }
    if let Err(error) = look_at_tokens(state).await {
        error.log("the tokens of connected users can't be looked at");
    }
}

/// Tells the other replicas what was changed here. What can't be told they see by themselves, later.
async fn tell(state: &State) {
    loop {
        let changes = state.told.next().await;
        if let Err(error) = changes::tell(&state.ctx, state.hub.node(), &changes).await {
            error.log("the other replicas are not told of a change");
        }
        tokio::time::sleep(HINTS).await;
    }
}

async fn by_ear(state: &State) {
    loop {
        match changes::listen(&state.ctx).await {
            Ok(listener) => {
                look(state).await; // at what was told before
                if let Err(error) = listen(state, listener).await {
                    error.log("the other replicas are not heard for now");
                }
            }
            Err(error) => error.log("the other replicas can't be heard yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen(state: &State, mut listener: Listener) -> Result<(), ServiceError> {
    loop {
        match changes::next(&mut listener).await? {
            None => look(state).await,
            Some(hint) => {
                heard(state, changes::read(state.hub.node(), &hint)).await;
            }
        }
    }
}

async fn heard(state: &State, changes: Vec<Change>) {
    if changes.contains(&Change::Many) {
        return look(state).await;
    }
    let (mut rooms, mut is_named) = (Vec::new(), false);
    for change in changes {
        match change {
            Change::Room(resource, room) => rooms.push((resource, room)),
            Change::Named => is_named = true,
            Change::User(resource, user) => doors::part_from_revoked(state, resource, user).await,
            Change::Many => {}
        }
    }
    judge_all(state, rooms).await;
    if is_named && let Err(error) = look_at_names(state).await {
        error.log("what another replica told can't be looked at yet");
    }
}

async fn look_at_rooms(state: &State) -> Result<(), ServiceError> {
    let managed = state.hub.managed();
    if managed.is_empty() {
        return Ok(());
    }
    let rooms: Vec<(ResourceId, RoomId)> = managed.iter().map(|(room, _)| *room).collect();
    let versions = service::doors::versions(&state.ctx, &rooms).await?;
    let changed = managed.into_iter().filter(|(room, seen)| versions.get(room) != Some(seen));
    judge_all(state, changed.map(|(room, _)| room).collect()).await;
    Ok(())
}

async fn look_at_names(state: &State) -> Result<(), ServiceError> {
    let named = state.hub.named();
    if named.is_empty() {
        return Ok(());
    }
    for ((resource, name), room) in service::doors::named(&state.ctx, &named).await? {
        match room {
            Some(room) => doors::judge(state, resource, room, Some(&RoomName::from_stored(&name))).await,
            None => state.hub.close_named(resource, &name),
        }
    }
    Ok(())
}

async fn look_at_tokens(state: &State) -> Result<(), ServiceError> {
    let guids = |id: &str| id.parse::<RawId>().ok().and_then(|raw| raw.guids());
    let users = state.hub.users().into_iter().filter_map(|((_, id), issues)| Some((guids(&id)?, id, issues)));
    let users: Vec<_> = users.collect();
    if users.is_empty() {
        return Ok(());
    }
    let asked: Vec<(ResourceId, Uuid)> = users.iter().map(|(user, ..)| *user).collect();
    let standings = service::doors::standings(&state.ctx, &asked).await?;
    for (user, id, issues) in users {
        let standing = standings.get(&user).copied();
        let is_void = |issue: &Issue| standing.is_none_or(|standing| !standing.allows(*issue));
        if issues.iter().any(is_void) {
            state.hub.revoke(user.0, &id, standing);
        }
    }
    Ok(())
}
