//! Managed rooms that have a name, as rows: with the options that are fixed for them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use super::error::violates;
use super::new_rooms::Inserted;
use crate::domain::resource::ResourceId;
use crate::domain::room::Room;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::room_options::{ReactionType, RoomOptions};
use crate::domain::roster::Participant;
use crate::domain::validity::Validity;

struct NamedRoomRow {
    id: i64,
    created_at: DateTime<Utc>,
    valid_from: DateTime<Utc>,
    valid_until: DateTime<Utc>,
    pstn_dial_out_enabled: bool,
    typing_throttle_ms: Option<i32>,
    presence_events: Option<bool>,
    occupancy_events: Option<bool>,
    raw_message_reactions: Option<bool>,
    default_reaction: Option<String>,
}

/// Keeps a room with its name, options and roster, in one statement; nothing if the name is taken.
pub async fn insert(
    conn: &mut PgConnection,
    resource: ResourceId,
    room: &Room,
    options: &RoomOptions,
    roster: &[Participant],
) -> Result<Inserted, StoreError> {
    let raw_ids: Vec<&str> = roster.iter().map(|p| p.raw_id.as_str()).collect();
    let roles: Vec<&str> = roster.iter().map(|p| p.role.as_str()).collect();
    let done = sqlx::query_scalar!(
        r#"WITH room AS (
               INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until, pstn_dial_out_enabled,
                                  participant_count, roster_version, name, typing_throttle_ms, presence_events,
                                  occupancy_events, raw_message_reactions, default_reaction)
               VALUES ($1, $2, $3, $4, $5, $6, cardinality($7::text[]), 0, $10, $11, $12, $13, $14, $15)
               ON CONFLICT (resource_id, name) WHERE name IS NOT NULL DO NOTHING
               RETURNING true
           ), roster AS (
               INSERT INTO participants (resource_id, room_id, raw_id, role, position)
               SELECT $1, $2, given.raw_id, given.role, $9 + given.place
               FROM room, unnest($7::text[], $8::text[]) WITH ORDINALITY AS given (raw_id, role, place)
           )
           SELECT EXISTS (SELECT FROM room) AS "done!""#,
        resource.as_uuid(),
        room.id.as_i64(),
        room.created_at,
        room.validity.from(),
        room.validity.until(),
        room.pstn_dial_out_enabled,
        raw_ids.as_slice() as _,
        roles.as_slice() as _,
        super::participants::first_position(room.created_at),
        room.name.as_ref().map(RoomName::as_str),
        options.typing_throttle_ms.map(|ms| i32::try_from(ms).unwrap_or(i32::MAX)),
        options.presence_events,
        options.occupancy_events,
        options.raw_message_reactions,
        options.default_reaction.map(ReactionType::as_str),
    )
    .fetch_one(conn)
    .await;
    match done {
        Ok(true) => Ok(Inserted::Done),
        Ok(false) => Ok(Inserted::NameTaken),
        Err(e) if violates(&e, "rooms_pkey") => Ok(Inserted::IdTaken),
        Err(e) => Err(e.into()),
    }
}

/// The room of a name, with its options.
pub async fn find(
    conn: &mut PgConnection,
    resource: ResourceId,
    name: &RoomName,
) -> Result<Option<(Room, RoomOptions)>, StoreError> {
    let row = sqlx::query_as!(
        NamedRoomRow,
        "SELECT id, created_at, valid_from, valid_until, pstn_dial_out_enabled, typing_throttle_ms,
                presence_events, occupancy_events, raw_message_reactions, default_reaction
         FROM rooms WHERE resource_id = $1 AND name = $2",
        resource.as_uuid(),
        name.as_str()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let room = Room {
            id: RoomId::from_i64(row.id),
            name: Some(name.clone()),
            created_at: row.created_at,
            validity: Validity::from_stored(row.valid_from, row.valid_until),
            pstn_dial_out_enabled: row.pstn_dial_out_enabled,
        };
        let options = RoomOptions {
            typing_throttle_ms: row.typing_throttle_ms.and_then(|ms| u32::try_from(ms).ok()),
            presence_events: row.presence_events,
            occupancy_events: row.occupancy_events,
            raw_message_reactions: row.raw_message_reactions,
            default_reaction: row.default_reaction.and_then(|text| text.parse().ok()),
        };
        (room, options)
    }))
}
