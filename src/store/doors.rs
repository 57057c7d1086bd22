//! What decides who may be in a room now, read from its row and its roster.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::door::Door;
use crate::domain::resource::ResourceId;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::validity::Validity;

/// A room's door, as far as it concerns `raw_ids`; `None` if there is no such room.
pub async fn find(
    conn: &mut PgConnection,
    resource: ResourceId,
    room: RoomId,
    raw_ids: &[&str],
) -> Result<Option<Door>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT r.valid_from, r.valid_until, r.roster_version, p.raw_id AS "raw_id?", p.role AS "role?"
           FROM rooms r
           LEFT JOIN participants p ON p.resource_id = r.resource_id AND p.room_id = r.id AND p.raw_id = ANY ($3)
           WHERE r.resource_id = $1 AND r.id = $2"#,
        resource.as_uuid(),
        room.as_i64(),
        raw_ids as _
    )
    .fetch_all(conn)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let validity = Validity::from_stored(first.valid_from, first.valid_until);
    let version = first.roster_version;
    let role = |text: String| text.parse().unwrap_or(Role::Consumer); // the table's check admits no other text
    let roles = rows.into_iter().filter_map(|row| Some((row.raw_id?, role(row.role?))));
    Ok(Some(Door { validity, version, roles: roles.collect() }))
}

/// A room's window and the version of its roster.
pub type Version = (Validity, i64);

/// The versions of those of the rooms that there are.
pub async fn versions(
    conn: &mut PgConnection,
    rooms: &[(ResourceId, RoomId)],
) -> Result<Vec<((ResourceId, RoomId), Version)>, StoreError> {
    let resources: Vec<Uuid> = rooms.iter().map(|(resource, _)| resource.as_uuid()).collect();
    let ids: Vec<i64> = rooms.iter().map(|(_, room)| room.as_i64()).collect();
    let rows = sqlx::query!(
        "SELECT r.resource_id, r.id, r.valid_from, r.valid_until, r.roster_version
         FROM unnest($1::uuid[], $2::bigint[]) AS asked (resource_id, id)
         JOIN rooms r ON r.resource_id = asked.resource_id AND r.id = asked.id",
        &resources,
        &ids
    )
    .fetch_all(conn)
    .await?;
    let version = |from, until, version| (Validity::from_stored(from, until), version);
    let rows = rows.into_iter().map(|row| {
        let room = (row.resource_id.into(), RoomId::from_i64(row.id));
        (room, version(row.valid_from, row.valid_until, row.roster_version))
    });
    Ok(rows.collect())
}

/// Since when the tokens of those of the users are good that there are.
pub async fn tokens_valid_from(
    conn: &mut PgConnection,
    users: &[(ResourceId, Uuid)],
) -> Result<Vec<((ResourceId, Uuid), DateTime<Utc>)>, StoreError> {
    let resources: Vec<Uuid> = users.iter().map(|(resource, _)| resource.as_uuid()).collect();
    let ids: Vec<Uuid> = users.iter().map(|(_, user)| *user).collect();
    let rows = sqlx::query!(
        "SELECT i.resource_id, i.id, i.tokens_valid_from
         FROM unnest($1::uuid[], $2::uuid[]) AS asked (resource_id, id)
         JOIN identities i ON i.resource_id = asked.resource_id AND i.id = asked.id
         WHERE i.deleted_at IS NULL",
        &resources,
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.resource_id.into(), row.id), row.tokens_valid_from)).collect())
}
