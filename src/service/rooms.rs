//! Making, reading, changing and deleting managed rooms.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt as _;
use uuid::Uuid;

use super::{Context, ServiceError};
use crate::domain::resource::ResourceId;
use crate::domain::room::{Room, RoomChange};
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::roster::Participant;
use crate::domain::validity::Validity;
use crate::store;
use crate::store::new_rooms::{self, Inserted, Remember};
use crate::store::pages::Page;
use crate::store::repeated_requests::Remembered;
use crate::store::rooms::Find;
pub use crate::store::sweep::{BATCH, Deleted};

/// A room to be made.
#[derive(Debug)]
pub struct NewRoom {
    pub created_at: DateTime<Utc>,
    pub validity: Validity,
    pub pstn_dial_out_enabled: bool,
    /// No id twice, and no more than [`Context::max_participants`].
    pub roster: Arc<[Participant]>,
}

impl NewRoom {
    /// The room that it becomes.
    pub(super) fn with(&self, id: RoomId, name: Option<RoomName>) -> Room {
        let (created_at, pstn_dial_out_enabled) = (self.created_at, self.pstn_dial_out_enabled);
        Room { id, name, created_at, validity: self.validity, pstn_dial_out_enabled }
    }
}

/// By what a create is known when it comes again (acs-rooms.md, section 3).
#[derive(Debug, Clone, Copy)]
pub struct Repeat {
    pub request: Uuid,
    pub first_sent: DateTime<Utc>,
    /// SHA-256 of the body.
    pub body_digest: [u8; 32],
}

/// What is answered to a create, now or when it comes again.
#[derive(Debug, PartialEq, Eq)]
pub struct Created {
    pub room: RoomId,
    pub answer: Bytes,
}

/// A page of rooms.
#[derive(Debug)]
pub struct Listed {
    /// One more than its size, if there is one.
    found: Arc<[Room]>,
    size: usize,
}

/// How long the answer to a create is remembered.
pub const REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// Nobody waits for a sweep, and a batch of full rosters takes its time.
const SWEEP_PATIENCE: Duration = Duration::from_secs(60);
/// Another process may make the same id; twice in a row is next to impossible.
pub(super) const ID_ATTEMPTS: usize = 10;
/// Ids that are left out at most when one is taken.
const MOST_SKIPPED: u16 = 500;

/// Makes a room. `render` writes the answer, which is kept with the room if the request can come
/// again; then the first answer is given, also when the room was changed or deleted since.
///
/// # Errors
/// `RepeatDiffers` if the request id came before with something else.
pub async fn create(
    ctx: &Context,
    resource: ResourceId,
    new: &NewRoom,
    repeat: Option<&Repeat>,
    render: impl Fn(&Room) -> Bytes,
) -> Result<Created, ServiceError> {
    for _ in 0..ID_ATTEMPTS {
        let room = new.with(ctx.room_ids.next(new.created_at), None);
        let (id, answer) = (room.id, render(&room));
        let remember = repeat.map(|repeat| Remember {
            request: repeat.request,
            first_sent: repeat.first_sent,
            body_digest: repeat.body_digest,
            answer: answer.clone(),
            expires_at: new.created_at + REMEMBERED,
        });
        let new_room = new_rooms::NewRoom { resource, room, roster: Arc::clone(&new.roster), remember };
        match (ctx.share_write(&ctx.batches.creates, new_room).await?, repeat) {
            (Inserted::Done, _) => return Ok(Created { room: id, answer }),
            (Inserted::RequestTaken, Some(repeat)) => {
                // As of the same instant: what passed its time since was not written over either.
                if let Some(created) = recall(ctx, resource, repeat, new.created_at).await? {
                    return Ok(created);
                }
            }
            // Of another process that makes as many: each of the next ones would be taken, too.
            (Inserted::IdTaken, _) => ctx.room_ids.skip(rand::rng().random_range(0..MOST_SKIPPED)),
            (Inserted::RequestTaken | Inserted::NameTaken, _) => {}
        }
    }
    Err(ServiceError::Unavailable(None))
}

/// The answer that was given to this create before, if it came before and is remembered at `now`.
///
/// # Errors
/// `RepeatDiffers` if what came before had another body or date.
pub async fn recall(
    ctx: &Context,
    resource: ResourceId,
    repeat: &Repeat,
    now: DateTime<Utc>,
) -> Result<Option<Created>, ServiceError> {
    let remembered =
        ctx.run(async |conn| store::repeated_requests::find(conn, resource, repeat.request, now).await).await?;
    let Some(Remembered { first_sent, body_digest, room, answer }) = remembered else { return Ok(None) };
    if first_sent != repeat.first_sent || body_digest != repeat.body_digest {
        return Err(ServiceError::RepeatDiffers);
    }
    Ok(Some(Created { room, answer: answer.into() }))
}

/// One room, also before and after its window.
pub async fn get(ctx: &Context, resource: ResourceId, room: RoomId) -> Result<Room, ServiceError> {
    ctx.share(&ctx.batches.gets, Find { resource, room }).await?.ok_or(ServiceError::RoomNotFound)
}

/// Rooms older than `before`, newest first, at most `size`. In one statement with others who list rooms at the same time.
pub async fn list(
    ctx: &Context,
    resource: ResourceId,
    before: Option<RoomId>,
    size: u16,
) -> Result<Listed, ServiceError> {
    let one_more = Page { resource, before, limit: size + 1 };
    Ok(Listed { found: ctx.share(&ctx.batches.pages, one_more).await?, size: size.into() })
}

impl Listed {
    pub fn rooms(&self) -> &[Room] {
        self.found.get(..self.size).unwrap_or(&self.found)
    }

    /// Whether there are older ones.
    pub fn has_more(&self) -> bool {
        self.found.len() > self.size
    }
}

/// Changes a room's window or its flag and gives the room back.
pub async fn update(
    ctx: &Context,
    resource: ResourceId,
    room: RoomId,
    change: &RoomChange,
) -> Result<Room, ServiceError> {
    if change.is_empty() {
        return get(ctx, resource, room).await;
    }
    ctx.write(async |conn| store::rooms::update(conn, resource, room, change).await)
        .await?
        .ok_or(ServiceError::RoomNotFound)
}

/// Deletes a room and its roster, and gives it back as it was.
pub async fn delete(ctx: &Context, resource: ResourceId, room: RoomId) -> Result<Room, ServiceError> {
    ctx.write(async |conn| store::rooms::delete(conn, resource, room).await).await?.ok_or(ServiceError::RoomNotFound)
}

/// Deletes a batch of rooms, of every resource, whose window ended from `from` to `end`.
pub async fn sweep(ctx: &Context, from: DateTime<Utc>, end: DateTime<Utc>) -> Result<Deleted, ServiceError> {
    Ok(ctx.db.run(SWEEP_PATIENCE, async |conn| store::rooms::delete_ended(conn, from, end).await).await?)
}

/// Forgets a batch of answers, of every resource, whose time was over from `from` to `now`.
pub async fn sweep_answers(ctx: &Context, from: DateTime<Utc>, now: DateTime<Utc>) -> Result<Deleted, ServiceError> {
    ctx.run(async |conn| store::repeated_requests::delete_expired(conn, from, now).await).await
}

/// What sweeps up to `end`, and of answers up to `now`, would delete.
pub async fn due(ctx: &Context, end: DateTime<Utc>, now: DateTime<Utc>) -> Result<(Deleted, u64), ServiceError> {
    let counted = ctx.db.run(SWEEP_PATIENCE, async |conn| {
        let rooms = store::rooms::count_ended(conn, end).await?;
        Ok((rooms, store::repeated_requests::count_expired(conn, now).await?))
    });
    Ok(counted.await?)
}
