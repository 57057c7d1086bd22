//! Remembered answers as rows (acs-rooms.md, section 3). They are written by `new_rooms::insert_all`, together with the room.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::sweep::Deleted;
use crate::domain::resource::ResourceId;
use crate::domain::room_id::RoomId;

/// What was sent before under a request id, and what was answered.
#[derive(Debug)]
pub struct Remembered {
    pub first_sent: DateTime<Utc>,
    /// SHA-256 of the body.
    pub body_digest: Vec<u8>,
    pub room: RoomId,
    pub answer: Vec<u8>,
}

/// What is remembered of a request id at `now`.
pub async fn find(
    conn: &mut PgConnection,
    resource: ResourceId,
    request: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<Remembered>, StoreError> {
    let row = sqlx::query!(
        "SELECT first_sent, body_digest, room_id, answer FROM repeated_requests
         WHERE resource_id = $1 AND request_id = $2 AND expires_at > $3",
        resource.as_uuid(),
        request,
        now
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Remembered {
        first_sent: row.first_sent,
        body_digest: row.body_digest,
        room: RoomId::from_i64(row.room_id),
        answer: row.answer,
    }))
}

/// Forgets a [`BATCH`](super::sweep::BATCH) of answers whose time was over from `from` to `now`, the longest over first.
pub async fn delete_expired(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Deleted, StoreError> {
    let gone = sqlx::query!(
        r#"WITH due AS (
               SELECT resource_id, request_id, expires_at FROM repeated_requests
               WHERE expires_at >= $1 AND expires_at <= $2 ORDER BY expires_at LIMIT 100
               FOR UPDATE SKIP LOCKED
           ), gone AS (
               DELETE FROM repeated_requests r USING due
               WHERE r.resource_id = due.resource_id AND r.request_id = due.request_id
               RETURNING due.expires_at
           )
           SELECT count(*) AS "count!", min(expires_at) AS oldest_end FROM gone"#,
        from,
        now
    )
    .fetch_one(conn)
    .await?;
    Ok(Deleted::new(gone.count, gone.oldest_end))
}

/// How many answers are past their time.
pub async fn count_expired(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let due = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM repeated_requests WHERE expires_at <= $1"#, now)
        .fetch_one(conn)
        .await?;
    Ok(due.unsigned_abs())
}
