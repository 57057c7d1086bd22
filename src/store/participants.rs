//! Rosters as rows.

use std::slice;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};

use super::StoreError;
use super::batch::{Item, index};
use crate::domain::raw_id::RawId;
use crate::domain::resource::ResourceId;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::roster::{Participant, RosterChange};

/// A change of a room's roster, which names somebody.
#[derive(Debug, Clone)]
pub struct Change {
    pub resource: ResourceId,
    pub room: RoomId,
    pub roster: Arc<RosterChange>,
    /// Where those who come stand in the order of the roster.
    pub now: DateTime<Utc>,
    /// The most that a roster may hold.
    pub max: u32,
}

/// What became of a change of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// With the room's name, if it has one.
    Done(Option<RoomName>),
    NoRoom,
    /// The roster would hold more than it may; nothing was changed.
    TooMany,
    /// Somebody holds the room, or another change came between the statement's view of the roster and its turn;
    /// nothing was changed. [`apply_in_turn`] does not get this.
    Overtaken,
}

impl Item for Change {
    type Value = Applied;

    fn weight(&self) -> usize {
        self.roster.upserts.len() + self.roster.removals.len()
    }

    fn is_apart_from(&self, other: &Self) -> bool {
        self.room == other.room && self.resource == other.resource
    }
}

/// Makes changes of several rooms in one statement: each whole, or not at all. The statement sees the rosters as they
/// were when it began, and takes the rooms' rows only then. So it goes on only with those that nobody holds, so that it
/// waits for none, and whose `roster_version` is still the one it saw: then what it saw is what there is, and the size
/// can be known before anything is written. A roster beyond the limit (which was lowered) may shrink.
pub async fn apply_all(conn: &mut PgConnection, changes: &[Change]) -> Result<Vec<Applied>, StoreError> {
    let given: Vec<Given<'_>> = changes.iter().zip(1..).flat_map(|(change, place)| given(change, place)).collect();
    let told = sqlx::query!(
        r#"WITH asked AS MATERIALIZED (
               SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[])
                   WITH ORDINALITY AS asked (resource_id, room_id, most, place)
           ), given AS MATERIALIZED (
               SELECT * FROM unnest($4::bigint[], $5::uuid[], $6::bigint[], $7::text[], $8::text[], $9::bigint[])
                   AS given (place, resource_id, room_id, raw_id, role, position) -- no role removes
           ), seen AS (
               SELECT asked.place, asked.most, r.roster_version, r.participant_count
               FROM asked JOIN rooms r ON r.resource_id = asked.resource_id AND r.id = asked.room_id
           ), turn AS (
               SELECT asked.place, asked.resource_id, asked.room_id, r.roster_version, r.name
               FROM asked JOIN rooms r ON r.resource_id = asked.resource_id AND r.id = asked.room_id
               FOR UPDATE OF r SKIP LOCKED
           ), growth AS (
               SELECT given.place, count(*) FILTER (WHERE given.role IS NOT NULL AND p.raw_id IS NULL)
                    - count(*) FILTER (WHERE given.role IS NULL AND p.raw_id IS NOT NULL) AS by
               FROM given LEFT JOIN participants p
                   ON p.resource_id = given.resource_id AND p.room_id = given.room_id AND p.raw_id = given.raw_id
               GROUP BY given.place
           ), fresh AS (
               SELECT seen.place, turn.resource_id, turn.room_id, turn.name, seen.participant_count + growth.by AS size,
                      CASE WHEN turn.place IS NOT NULL
                           THEN growth.by <= 0 OR seen.participant_count + growth.by <= seen.most END AS fits
               FROM seen LEFT JOIN turn ON turn.place = seen.place AND turn.roster_version = seen.roster_version
               JOIN growth ON growth.place = seen.place
           ), removed AS (
               DELETE FROM participants p USING fresh JOIN given USING (place)
               WHERE fresh.fits AND given.role IS NULL
                 AND p.resource_id = given.resource_id AND p.room_id = given.room_id AND p.raw_id = given.raw_id
           ), upserted AS (
               INSERT INTO participants (resource_id, room_id, raw_id, role, position)
               SELECT given.resource_id, given.room_id, given.raw_id, given.role, given.position
               FROM fresh JOIN given USING (place)
               WHERE fresh.fits AND given.role IS NOT NULL
               ON CONFLICT (resource_id, room_id, raw_id) DO UPDATE SET role = excluded.role
           ), counted AS (
               UPDATE rooms SET participant_count = fresh.size, roster_version = rooms.roster_version + 1
               FROM fresh
               WHERE fresh.fits AND rooms.resource_id = fresh.resource_id AND rooms.id = fresh.room_id
           )
           SELECT place AS "place!", name, fits FROM fresh"#,
        &changes.iter().map(|change| change.resource.as_uuid()).collect::<Vec<_>>(),
        &changes.iter().map(|change| change.room.as_i64()).collect::<Vec<_>>(),
        &changes.iter().map(|change| i64::from(change.max)).collect::<Vec<_>>(),
        &given.iter().map(|given| given.place).collect::<Vec<_>>(),
        &given.iter().map(|given| given.change.resource.as_uuid()).collect::<Vec<_>>(),
        &given.iter().map(|given| given.change.room.as_i64()).collect::<Vec<_>>(),
        given.iter().map(|given| given.raw_id.as_str()).collect::<Vec<_>>() as _,
        given.iter().map(|given| given.role.map(Role::as_str)).collect::<Vec<_>>() as _,
        &given.iter().map(|given| given.position).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await?;
    let mut applied = vec![Applied::NoRoom; changes.len()];
    for row in told {
        if let Some(applied) = index(row.place).and_then(|at| applied.get_mut(at)) {
            *applied = match row.fits {
                None => Applied::Overtaken,
                Some(false) => Applied::TooMany,
                Some(true) => Applied::Done(row.name.as_deref().map(RoomName::from_stored)),
            };
        }
    }
    Ok(applied)
}

/// What a change gives one participant.
struct Given<'a> {
    /// Its change, from 1.
    place: i64,
    change: &'a Change,
    raw_id: &'a RawId,
    /// None takes it off the roster.
    role: Option<Role>,
    position: i64,
}

fn given(change: &Change, place: i64) -> impl Iterator<Item = Given<'_>> {
    let upserts = change.roster.upserts.iter().map(|participant| (&participant.raw_id, Some(participant.role)));
    let removals = change.roster.removals.iter().map(|raw_id| (raw_id, None));
    let positions = first_position(change.now) + 1..;
    let given = upserts.chain(removals).zip(positions);
    given.map(move |((raw_id, role), position)| Given { place, change, raw_id, role, position })
}

/// The same for one room, in three more round trips, if many change it at once: it takes the turn
/// first, so that the view is of what there is then.
pub async fn apply_in_turn(conn: &mut PgConnection, change: &Change) -> Result<Applied, StoreError> {
    let mut tx = conn.begin().await?;
    let (resource, room) = (change.resource.as_uuid(), change.room.as_i64());
    sqlx::query!("SELECT FROM rooms WHERE resource_id = $1 AND id = $2 FOR UPDATE", resource, room)
        .fetch_optional(&mut *tx)
        .await?;
    let applied = apply_all(&mut tx, slice::from_ref(change)).await?;
    tx.commit().await?;
    Ok(applied.into_iter().next().unwrap_or(Applied::Overtaken))
}

/// A room's roster in the order in which it grew; `None` if there is no such room.
pub async fn list(
    conn: &mut PgConnection,
    resource: ResourceId,
    room: RoomId,
) -> Result<Option<Vec<Participant>>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT p.raw_id AS "raw_id?", p.role AS "role?"
           FROM rooms r LEFT JOIN participants p ON p.resource_id = r.resource_id AND p.room_id = r.id
           WHERE r.resource_id = $1 AND r.id = $2
           ORDER BY p.position, p.raw_id"#,
        resource.as_uuid(),
        room.as_i64()
    )
    .fetch_all(conn)
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let participant = |raw_id, role: String| Participant {
        raw_id: RawId::from_stored(raw_id),
        role: role.parse().unwrap_or(Role::Attendee), // the table's check admits no other text
    };
    Ok(Some(rows.into_iter().filter_map(|row| Some(participant(row.raw_id?, row.role?))).collect()))
}

/// Where those who come at `now` begin in the order of a roster.
pub(super) fn first_position(now: DateTime<Utc>) -> i64 {
    now.timestamp_micros().saturating_mul(1_000)
}
