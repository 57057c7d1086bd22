//! Communication users as rows.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::resource::ResourceId;

/// Keeps a new user.
pub async fn insert(
    conn: &mut PgConnection,
    resource: ResourceId,
    user: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO identities (resource_id, id, created_at, tokens_valid_from) VALUES ($1, $2, $3, $3)",
        resource.as_uuid(),
        user,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// True if the resource has that user, and has not deleted it.
pub async fn exists(conn: &mut PgConnection, resource: ResourceId, user: Uuid) -> Result<bool, StoreError> {
    let there = sqlx::query_scalar!(
        r#"SELECT EXISTS(SELECT FROM identities WHERE resource_id = $1 AND id = $2 AND deleted_at IS NULL) AS "there!""#,
        resource.as_uuid(),
        user
    )
    .fetch_one(conn)
    .await?;
    Ok(there)
}
