//! New rooms as rows, with their rosters, and with the answers by which creates can be repeated.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::batch::Item;
use super::error::violates;
use super::participants::first_position;
use crate::domain::resource::ResourceId;
use crate::domain::room::Room;
use crate::domain::roster::Participant;

/// A room that is to be kept.
#[derive(Debug)]
pub struct NewRoom {
    pub resource: ResourceId,
    pub room: Room,
    pub roster: Arc<[Participant]>,
    pub remember: Option<Remember>,
}

/// What is to be remembered with a new room, so that its request can be repeated.
#[derive(Debug)]
pub struct Remember {
    pub request: Uuid,
    pub first_sent: DateTime<Utc>,
    /// SHA-256 of the body.
    pub body_digest: [u8; 32],
    pub answer: Bytes,
    pub expires_at: DateTime<Utc>,
}

/// What became of a new room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    Done,
    /// Another process made the same id; nothing was written.
    IdTaken,
    /// The request id is remembered already; nothing was written.
    RequestTaken,
    /// Another room has the name; nothing was written.
    NameTaken,
}

impl Item for NewRoom {
    type Value = Inserted;

    fn weight(&self) -> usize {
        1 + self.roster.len()
    }

    /// The same request twice: the second is to find what the first left.
    fn is_apart_from(&self, other: &Self) -> bool {
        let request = |new: &Self| new.remember.as_ref().map(|remember| (new.resource, remember.request));
        request(self).is_some_and(|own| request(other) == Some(own))
    }
}

/// Keeps rooms with their rosters and, for those that came with a request id, the answers: all in one statement. One whose
/// request is being done elsewhere waits here until that is done; one whose answer is past its time makes way.
pub async fn insert_all(conn: &mut PgConnection, new: &[NewRoom]) -> Result<Vec<Inserted>, StoreError> {
    // In one order everywhere: else two statements for the same requests could wait for each other.
    let mut sorted: Vec<&NewRoom> = new.iter().collect();
    sorted.sort_unstable_by_key(|new| (remember(new).map(|remember| remember.request), new.resource, new.room.id));
    let participants: Vec<(&NewRoom, &Participant, i64)> = sorted.iter().flat_map(|new| roster(new)).collect();
    let done = sqlx::query_scalar!(
        r#"WITH asked AS MATERIALIZED (
               SELECT * FROM unnest(
                   $1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::boolean[],
                   $7::integer[], $8::uuid[], $9::timestamptz[], $10::bytea[], $11::bytea[], $12::timestamptz[]
               ) AS asked (resource_id, id, created_at, valid_from, valid_until, pstn_dial_out_enabled,
                           participant_count, request_id, first_sent, body_digest, answer, expires_at)
           ), remembered AS (
               INSERT INTO repeated_requests AS r
                   (resource_id, request_id, first_sent, body_digest, room_id, answer, expires_at)
               SELECT resource_id, request_id, first_sent, body_digest, id, answer, expires_at
               FROM asked WHERE request_id IS NOT NULL
               ON CONFLICT (resource_id, request_id) DO UPDATE
               SET first_sent = excluded.first_sent, body_digest = excluded.body_digest,
                   room_id = excluded.room_id, answer = excluded.answer, expires_at = excluded.expires_at
               WHERE r.expires_at <= $13
               RETURNING room_id
           ), room AS (
               INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until,
                                  pstn_dial_out_enabled, participant_count, roster_version)
               SELECT resource_id, id, created_at, valid_from, valid_until,
                      pstn_dial_out_enabled, participant_count, 0
               FROM asked
               -- IS TRUE keeps it a look into a hash: as a join it could be one of all with all.
               WHERE request_id IS NULL OR (id IN (SELECT room_id FROM remembered)) IS TRUE
               RETURNING resource_id, id
           ), roster AS (
               INSERT INTO participants (resource_id, room_id, raw_id, role, position)
               SELECT room.resource_id, room.id, given.raw_id, given.role, given.position
               FROM unnest($14::bigint[], $15::text[], $16::text[], $17::bigint[])
                   AS given (room_id, raw_id, role, position)
               JOIN room ON room.id = given.room_id
           )
           SELECT id FROM room"#,
        &column(&sorted, |new| new.resource.as_uuid()),
        &column(&sorted, |new| new.room.id.as_i64()),
        &column(&sorted, |new| new.room.created_at),
        &column(&sorted, |new| new.room.validity.from()),
        &column(&sorted, |new| new.room.validity.until()),
        &column(&sorted, |new| new.room.pstn_dial_out_enabled),
        &column(&sorted, |new| i32::try_from(new.roster.len()).unwrap_or(i32::MAX)),
        column(&sorted, |new| remember(new).map(|r| r.request)) as _,
        column(&sorted, |new| remember(new).map(|r| r.first_sent)) as _,
        column(&sorted, |new| remember(new).map(|r| r.body_digest.as_slice())) as _,
        column(&sorted, |new| remember(new).map(|r| &*r.answer)) as _,
        column(&sorted, |new| remember(new).map(|r| r.expires_at)) as _,
        new.iter().map(|new| new.room.created_at).min(),
        &participants.iter().map(|(new, ..)| new.room.id.as_i64()).collect::<Vec<_>>(),
        participants.iter().map(|(_, participant, _)| participant.raw_id.as_str()).collect::<Vec<_>>() as _,
        participants.iter().map(|(_, participant, _)| participant.role.as_str()).collect::<Vec<_>>() as _,
        &participants.iter().map(|(.., position)| *position).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await;
    match done {
        Ok(done) => {
            let done: HashSet<i64> = done.into_iter().collect();
            let became = |id| if done.contains(&id) { Inserted::Done } else { Inserted::RequestTaken };
            Ok(new.iter().map(|new| became(new.room.id.as_i64())).collect())
        }
        Err(e) if new.len() == 1 && violates(&e, "rooms_pkey") => Ok(vec![Inserted::IdTaken]),
        Err(e) => Err(e.into()),
    }
}

fn column<'a, T>(of: &[&'a NewRoom], value: impl Fn(&'a NewRoom) -> T) -> Vec<T> {
    of.iter().copied().map(value).collect()
}

fn remember(new: &NewRoom) -> Option<&Remember> {
    new.remember.as_ref()
}

/// A new room's participants, with their positions.
fn roster(new: &NewRoom) -> impl Iterator<Item = (&NewRoom, &Participant, i64)> {
    let first = first_position(new.room.created_at);
    new.roster.iter().zip(first + 1..).map(move |(participant, position)| (new, participant, position))
}
