//! What decides who may be in a room now, read from its row and its roster.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::door::Door;
use crate::domain::resource::ResourceId;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::room_options::RoomOptions;
use crate::domain::validity::Validity;

/// A row of a room's door: the room, if there is one, and one of the participants that were asked about.
struct DoorRow {
    named_rooms: bool,
    id: Option<i64>,
    name: Option<String>,
    valid_from: Option<DateTime<Utc>>,
    valid_until: Option<DateTime<Utc>>,
    roster_version: Option<i64>,
    presence_events: Option<bool>,
    occupancy_events: Option<bool>,
    raw_message_reactions: Option<bool>,
    raw_id: Option<String>,
    role: Option<String>,
}

/// What a name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The managed room of that name.
    pub door: Option<Door>,
    /// Whether the resource has rooms that no backend made.
    pub is_open: bool,
}

/// A room's door, as far as it concerns `raw_ids`; `None` if there is no such room.
pub async fn find(
    conn: &mut PgConnection,
    resource: ResourceId,
    room: RoomId,
    raw_ids: &[&str],
) -> Result<Option<Door>, StoreError> {
    let rows = sqlx::query_as!(
        DoorRow,
        r#"SELECT true AS "named_rooms!", r.id AS "id?", r.name, r.valid_from AS "valid_from?",
                  r.valid_until AS "valid_until?", r.roster_version AS "roster_version?",
                  r.presence_events, r.occupancy_events, r.raw_message_reactions,
                  p.raw_id AS "raw_id?", p.role AS "role?"
           FROM rooms r
           LEFT JOIN participants p ON p.resource_id = r.resource_id AND p.room_id = r.id AND p.raw_id = ANY ($3)
           WHERE r.resource_id = $1 AND r.id = $2"#,
        resource.as_uuid(),
        room.as_i64(),
        raw_ids as _
    )
    .fetch_all(conn)
    .await?;
    Ok(door(rows))
}

/// What a name leads to, with the door of a managed room as far as it concerns `raw_ids`.
pub async fn find_by_name(
    conn: &mut PgConnection,
    resource: ResourceId,
    name: &str,
    raw_ids: &[&str],
) -> Result<Named, StoreError> {
    let rows = sqlx::query_as!(
        DoorRow,
        r#"SELECT o.named_rooms, r.id AS "id?", r.name AS "name?", r.valid_from AS "valid_from?",
                  r.valid_until AS "valid_until?", r.roster_version AS "roster_version?",
                  r.presence_events, r.occupancy_events, r.raw_message_reactions,
                  p.raw_id AS "raw_id?", p.role AS "role?"
           FROM resources o
           LEFT JOIN rooms r ON r.resource_id = o.id AND r.name = $2
           LEFT JOIN participants p ON p.resource_id = r.resource_id AND p.room_id = r.id AND p.raw_id = ANY ($3)
           WHERE o.id = $1"#,
        resource.as_uuid(),
        name,
        raw_ids as _
    )
    .fetch_all(conn)
    .await?;
    let is_open = rows.first().is_some_and(|row| row.named_rooms);
    Ok(Named { door: door(rows), is_open })
}

fn door(rows: Vec<DoorRow>) -> Option<Door> {
    let first = rows.first()?;
    let options = RoomOptions {
        presence_events: first.presence_events,
        occupancy_events: first.occupancy_events,
        raw_message_reactions: first.raw_message_reactions,
        ..RoomOptions::default() // the others are no matter of the door
    };
    let role = |text: String| text.parse().unwrap_or(Role::Consumer); // the table's check admits no other text
    Some(Door {
        room: RoomId::from_i64(first.id?),
        name: first.name.as_deref().map(RoomName::from_stored),
        options,
        validity: Validity::from_stored(first.valid_from?, first.valid_until?),
        version: first.roster_version?,
        roles: rows.into_iter().filter_map(|row| Some((row.raw_id?, role(row.role?)))).collect(),
    })
}

/// Of those rooms that are called so, which a backend made since; and which may not be any more.
pub async fn named(
    conn: &mut PgConnection,
    rooms: &[(ResourceId, Arc<str>)],
) -> Result<Vec<((ResourceId, Arc<str>), Option<RoomId>)>, StoreError> {
    let resources: Vec<Uuid> = rooms.iter().map(|(resource, _)| resource.as_uuid()).collect();
    let names: Vec<&str> = rooms.iter().map(|(_, name)| &**name).collect();
    let rows = sqlx::query!(
        r#"SELECT asked.place AS "place!", r.id AS "id?"
           FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS asked (resource_id, name, place)
           JOIN resources o ON o.id = asked.resource_id
           LEFT JOIN rooms r ON r.resource_id = asked.resource_id AND r.name = asked.name
           WHERE r.id IS NOT NULL OR NOT o.named_rooms"#,
        &resources,
        names as _
    )
    .fetch_all(conn)
    .await?;
    let room = |place: i64| rooms.get(usize::try_from(place - 1).ok()?).cloned();
    Ok(rows.into_iter().filter_map(|row| Some((room(row.place)?, row.id.map(RoomId::from_i64)))).collect())
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
