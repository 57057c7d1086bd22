//! Rooms as rows.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::StoreError;
use super::batch::{Item, index};
use super::sweep::Deleted;
use crate::domain::resource::ResourceId;
use crate::domain::room::{Room, RoomChange};
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::validity::Validity;

pub(super) struct RoomRow {
    pub id: i64,
    pub name: Option<String>,
    pub created_at: DateTime<Utc>,
    pub valid_from: DateTime<Utc>,
    pub valid_until: DateTime<Utc>,
    pub pstn_dial_out_enabled: bool,
}

/// A room of a statement that is for several requests.
pub(super) struct PlacedRow {
    /// That of what was asked for, from 1.
    pub place: i64,
    pub id: i64,
    pub name: Option<String>,
    pub created_at: DateTime<Utc>,
    pub valid_from: DateTime<Utc>,
    pub valid_until: DateTime<Utc>,
    pub pstn_dial_out_enabled: bool,
}

impl PlacedRow {
    /// The room, with the index of what it is for.
    pub fn room(self) -> (Option<usize>, Room) {
        let Self { place, id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled } = self;
        let row = RoomRow { id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled };
        (index(place), row.into())
    }
}

impl From<RoomRow> for Room {
    fn from(row: RoomRow) -> Self {
        Self {
            id: RoomId::from_i64(row.id),
            name: row.name.as_deref().map(RoomName::from_stored),
            created_at: row.created_at,
            validity: Validity::from_stored(row.valid_from, row.valid_until),
            pstn_dial_out_enabled: row.pstn_dial_out_enabled,
        }
    }
}

/// A room that is asked for.
#[derive(Debug)]
pub struct Find {
    pub resource: ResourceId,
    pub room: RoomId,
}

impl Item for Find {
    type Value = Option<Room>;
}

/// Those of the rooms that there are, each in the place of what was asked.
pub async fn find_all(conn: &mut PgConnection, asked: &[Find]) -> Result<Vec<Option<Room>>, StoreError> {
    let resources: Vec<Uuid> = asked.iter().map(|asked| asked.resource.as_uuid()).collect();
    let ids: Vec<i64> = asked.iter().map(|asked| asked.room.as_i64()).collect();
    let rows = sqlx::query_as!(
        PlacedRow,
        r#"SELECT asked.place AS "place!", r.id, r.name, r.created_at, r.valid_from, r.valid_until,
                  r.pstn_dial_out_enabled
           FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS asked (resource_id, id, place)
           JOIN rooms r ON r.resource_id = asked.resource_id AND r.id = asked.id"#,
        &resources,
        &ids
    )
    .fetch_all(conn)
    .await?;
    let mut found = vec![None; asked.len()];
    for (at, room) in rows.into_iter().map(PlacedRow::room) {
        if let Some(found) = at.and_then(|at| found.get_mut(at)) {
            *found = Some(room);
        }
    }
    Ok(found)
}

/// Changes a room and gives it back as it is then.
pub async fn update(
    conn: &mut PgConnection,
    resource: ResourceId,
    room: RoomId,
    change: &RoomChange,
) -> Result<Option<Room>, StoreError> {
    let row = sqlx::query_as!(
        RoomRow,
        "UPDATE rooms
         SET valid_from = coalesce($3, valid_from), valid_until = coalesce($4, valid_until),
             pstn_dial_out_enabled = coalesce($5, pstn_dial_out_enabled)
         WHERE resource_id = $1 AND id = $2
         RETURNING id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled",
        resource.as_uuid(),
        room.as_i64(),
        change.validity.map(|v| v.from()),
        change.validity.map(|v| v.until()),
        change.pstn_dial_out_enabled
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Room::from))
}

/// Deletes a room with its roster, and gives it back as it was.
pub async fn delete(conn: &mut PgConnection, resource: ResourceId, room: RoomId) -> Result<Option<Room>, StoreError> {
    let row = sqlx::query_as!(
        RoomRow,
        "DELETE FROM rooms WHERE resource_id = $1 AND id = $2
         RETURNING id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled",
        resource.as_uuid(),
        room.as_i64()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Room::from))
}

/// Deletes a [`BATCH`](super::sweep::BATCH) of rooms whose window ended from `from` to `end`, of every resource, the
/// longest over first. A room that somebody holds is left to the next sweep; one that was extended meanwhile is looked
/// at again, and kept. Full rosters may take longer than a request's statement may.
pub async fn delete_ended(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Result<Deleted, StoreError> {
    let mut tx = conn.begin().await?;
    sqlx::query!("SET LOCAL statement_timeout = '60s'").execute(&mut *tx).await?;
    let gone = sqlx::query!(
        r#"WITH due AS (
               SELECT resource_id, id, valid_until FROM rooms
               WHERE valid_until >= $1 AND valid_until <= $2 ORDER BY valid_until LIMIT 100
               FOR UPDATE SKIP LOCKED
           ), gone AS (
               DELETE FROM rooms USING due WHERE rooms.resource_id = due.resource_id AND rooms.id = due.id
               RETURNING due.valid_until
           )
           SELECT count(*) AS "count!", min(valid_until) AS oldest_end FROM gone"#,
        from,
        end
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Deleted::new(gone.count, gone.oldest_end))
}

/// How many rooms ended by `end`, of every resource.
pub async fn count_ended(conn: &mut PgConnection, end: DateTime<Utc>) -> Result<Deleted, StoreError> {
    let mut tx = conn.begin().await?;
    sqlx::query!("SET LOCAL statement_timeout = '60s'").execute(&mut *tx).await?;
    let due = sqlx::query!(
        r#"SELECT count(*) AS "count!", min(valid_until) AS oldest_end FROM rooms WHERE valid_until <= $1"#,
        end
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Deleted::new(due.count, due.oldest_end))
}
