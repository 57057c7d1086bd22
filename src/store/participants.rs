//! Rosters as rows.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};

use super::StoreError;
use crate::domain::raw_id::RawId;
use crate::domain::resource::ResourceId;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::roster::{Participant, RosterChange};

/// What became of a change of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// With the room's name, if it has one.
    Done(Option<RoomName>),
    NoRoom,
    /// The roster would hold more than it may; nothing was changed.
    TooMany,
    /// Another change came between the statement's view of the roster and its turn; nothing was
    /// changed. [`apply_in_turn`] does not get this.
    Overtaken,
}

/// Makes all changes or none, in one statement. The statement sees the roster as it was when it
/// began, and waits for its turn on the room's row only then. So it goes on only if the row's
/// `roster_version` is still the one it saw: then what it saw is what there is, and the size can
/// be known before anything is written. A roster beyond the limit (which was lowered) may shrink.
pub async fn apply(
    conn: &mut PgConnection,
    resource: ResourceId,
    room: RoomId,
    change: &RosterChange,
    now: DateTime<Utc>,
    max: u32,
) -> Result<Applied, StoreError> {
    let raw_ids: Vec<&str> = change.upserts.iter().map(|p| p.raw_id.as_str()).collect();
    let roles: Vec<&str> = change.upserts.iter().map(|p| p.role.as_str()).collect();
    let removals: Vec<&str> = change.removals.iter().map(RawId::as_str).collect();
    let told = sqlx::query!(
        r#"WITH seen AS (
               SELECT roster_version, participant_count FROM rooms WHERE resource_id = $1 AND id = $2
           ), turn AS (
               SELECT roster_version, name FROM rooms WHERE resource_id = $1 AND id = $2 FOR UPDATE
           ), growth AS (
               SELECT cardinality($3::text[]) - count(*) FILTER (WHERE raw_id = ANY ($3))
                    - count(*) FILTER (WHERE raw_id = ANY ($5)) AS by
               FROM participants
               WHERE resource_id = $1 AND room_id = $2 AND raw_id = ANY ($3::text[] || $5::text[])
           ), fresh AS (
               SELECT seen.participant_count + growth.by AS size, growth.by <= 0 OR seen.participant_count + growth.by <= $7 AS fits
               FROM seen JOIN turn USING (roster_version) CROSS JOIN growth
           ), removed AS (
               DELETE FROM participants USING fresh
               WHERE fits AND resource_id = $1 AND room_id = $2 AND raw_id = ANY ($5)
           ), upserted AS (
               INSERT INTO participants (resource_id, room_id, raw_id, role, position)
               SELECT $1, $2, given.raw_id, given.role, $6 + given.place
               FROM fresh, unnest($3::text[], $4::text[]) WITH ORDINALITY AS given (raw_id, role, place)
               WHERE fits
               ON CONFLICT (resource_id, room_id, raw_id) DO UPDATE SET role = excluded.role
           ), counted AS (
               UPDATE rooms SET participant_count = fresh.size, roster_version = rooms.roster_version + 1
               FROM fresh WHERE fits AND resource_id = $1 AND id = $2
           )
           SELECT EXISTS (SELECT FROM turn) AS "there!", (SELECT fits FROM fresh) AS fits,
                  (SELECT name FROM turn) AS name"#,
        resource.as_uuid(),
        room.as_i64(),
        raw_ids.as_slice() as _,
        roles.as_slice() as _,
        removals.as_slice() as _,
        first_position(now),
        i64::from(max),
    )
    .fetch_one(conn)
    .await?;
    Ok(match (told.there, told.fits) {
        (false, _) => Applied::NoRoom,
        (true, None) => Applied::Overtaken,
        (true, Some(false)) => Applied::TooMany,
        (true, Some(true)) => Applied::Done(told.name.as_deref().map(RoomName::from_stored)),
    })
}

/// The same, in three more round trips, for a room that many change at once: it takes the turn
/// first, so that the view is of what there is then.
pub async fn apply_in_turn(
    conn: &mut PgConnection,
    resource: ResourceId,
    room: RoomId,
    change: &RosterChange,
    now: DateTime<Utc>,
    max: u32,
) -> Result<Applied, StoreError> {
    let mut tx = conn.begin().await?;
    sqlx::query!("SELECT FROM rooms WHERE resource_id = $1 AND id = $2 FOR UPDATE", resource.as_uuid(), room.as_i64())
        .fetch_optional(&mut *tx)
        .await?;
    let applied = apply(&mut tx, resource, room, change, now, max).await?;
    tx.commit().await?;
    Ok(applied)
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
