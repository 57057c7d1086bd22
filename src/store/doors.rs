//! What decides who may be in a room now, read from its row and its roster.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::batch::{Item, index};
use crate::domain::door::Door;
use crate::domain::issue::Standing;
use crate::domain::resource::ResourceId;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::room_options::RoomOptions;
use crate::domain::validity::Validity;

/// A row of a room's door: the room, if there is one, and one of the participants that were asked about.
struct DoorRow {
    /// Among those asked for, from 1.
    place: i64,
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

/// Who wants to enter which room, by its id or its name.
#[derive(Debug)]
pub struct Asked<R> {
    pub resource: ResourceId,
    pub room: R,
    /// `None` for nobody whom a roster concerns.
    pub raw_id: Option<Arc<str>>,
}

impl Item for Asked<RoomId> {
    type Value = Option<Door>;
}

impl Item for Asked<Arc<str>> {
    type Value = Named;
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
        r#"SELECT 1::bigint AS "place!", true AS "named_rooms!", r.id AS "id?", r.name, r.valid_from AS "valid_from?",
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

/// A room and who wants to enter it: its door as far as it concerns them, each in the place of what was asked.
pub async fn find_each(conn: &mut PgConnection, asked: &[Asked<RoomId>]) -> Result<Vec<Option<Door>>, StoreError> {
    let resources: Vec<Uuid> = asked.iter().map(|asked| asked.resource.as_uuid()).collect();
    let ids: Vec<i64> = asked.iter().map(|asked| asked.room.as_i64()).collect();
    let raw_ids: Vec<Option<&str>> = asked.iter().map(|asked| asked.raw_id.as_deref()).collect();
    let rows = sqlx::query_as!(
        DoorRow,
        r#"SELECT asked.place AS "place!", true AS "named_rooms!", r.id AS "id?", r.name,
                  r.valid_from AS "valid_from?", r.valid_until AS "valid_until?",
                  r.roster_version AS "roster_version?",
                  r.presence_events, r.occupancy_events, r.raw_message_reactions,
                  p.raw_id AS "raw_id?", p.role AS "role?"
           FROM unnest($1::uuid[], $2::bigint[], $3::text[]) WITH ORDINALITY AS asked (resource_id, id, raw_id, place)
           JOIN rooms r ON r.resource_id = asked.resource_id AND r.id = asked.id
           LEFT JOIN participants p
               ON p.resource_id = r.resource_id AND p.room_id = r.id AND p.raw_id = asked.raw_id"#,
        &resources,
        &ids,
        raw_ids as _
    )
    .fetch_all(conn)
    .await?;
    let mut doors = vec![None; asked.len()];
    for row in rows {
        if let Some(place) = index(row.place).and_then(|at| doors.get_mut(at)) {
            *place = door(vec![row]);
        }
    }
    Ok(doors)
}

/// A name and who wants to enter by it: what it leads to, each in the place of what was asked.
pub async fn find_each_by_name(conn: &mut PgConnection, asked: &[Asked<Arc<str>>]) -> Result<Vec<Named>, StoreError> {
    let resources: Vec<Uuid> = asked.iter().map(|asked| asked.resource.as_uuid()).collect();
    let names: Vec<&str> = asked.iter().map(|asked| &*asked.room).collect();
    let raw_ids: Vec<Option<&str>> = asked.iter().map(|asked| asked.raw_id.as_deref()).collect();
    let rows = sqlx::query_as!(
        DoorRow,
        r#"SELECT asked.place AS "place!", o.named_rooms, r.id AS "id?", r.name AS "name?",
                  r.valid_from AS "valid_from?", r.valid_until AS "valid_until?",
                  r.roster_version AS "roster_version?",
                  r.presence_events, r.occupancy_events, r.raw_message_reactions,
                  p.raw_id AS "raw_id?", p.role AS "role?"
           FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS asked (resource_id, name, raw_id, place)
           JOIN resources o ON o.id = asked.resource_id
           LEFT JOIN rooms r ON r.resource_id = o.id AND r.name = asked.name
           LEFT JOIN participants p
               ON p.resource_id = r.resource_id AND p.room_id = r.id AND p.raw_id = asked.raw_id"#,
        &resources,
        names as _,
        raw_ids as _
    )
    .fetch_all(conn)
    .await?;
    let mut found = vec![Named { door: None, is_open: false }; asked.len()];
    for row in rows {
        if let Some(place) = index(row.place).and_then(|at| found.get_mut(at)) {
            *place = Named { is_open: row.named_rooms, door: door(vec![row]) };
        }
    }
    Ok(found)
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
    let room = |of: i64| rooms.get(index(of)?).cloned();
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

/// Which tokens stand of those of the users that there are.
pub async fn standings(
    conn: &mut PgConnection,
    users: &[(ResourceId, Uuid)],
) -> Result<Vec<((ResourceId, Uuid), Standing)>, StoreError> {
    let resources: Vec<Uuid> = users.iter().map(|(resource, _)| resource.as_uuid()).collect();
    let ids: Vec<Uuid> = users.iter().map(|(_, user)| *user).collect();
    let rows = sqlx::query!(
        "SELECT i.resource_id, i.id, i.revocations, i.tokens_valid_from
         FROM unnest($1::uuid[], $2::uuid[]) AS asked (resource_id, id)
         JOIN identities i ON i.resource_id = asked.resource_id AND i.id = asked.id
         WHERE i.deleted_at IS NULL",
        &resources,
        &ids
    )
    .fetch_all(conn)
    .await?;
    let standings = rows.into_iter().map(|row| {
        let standing = Standing { revocations: row.revocations, valid_from: row.tokens_valid_from };
        ((row.resource_id.into(), row.id), standing)
    });
    Ok(standings.collect())
}
