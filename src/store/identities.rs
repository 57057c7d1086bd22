//! Communication users as rows.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::issue::Standing;
use crate::domain::resource::ResourceId;

/// Keeps a new user.
pub async fn insert(
    conn: &mut PgConnection,
    resource: ResourceId,
    user: Uuid,
    now: DateTime<Utc>,
    tokens_valid_from: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO identities (resource_id, id, created_at, tokens_valid_from) VALUES ($1, $2, $3, $4)",
        resource.as_uuid(),
        user,
        now,
        tokens_valid_from
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which tokens of a user stand; `None` if the resource has no such user, or deleted it.
pub async fn standing(
    conn: &mut PgConnection,
    resource: ResourceId,
    user: Uuid,
) -> Result<Option<Standing>, StoreError> {
    let standing = sqlx::query_as!(
        Standing,
        "SELECT revocations, tokens_valid_from AS valid_from FROM identities
         WHERE resource_id = $1 AND id = $2 AND deleted_at IS NULL",
        resource.as_uuid(),
        user
    )
    .fetch_optional(conn)
    .await?;
    Ok(standing)
}

/// Makes all tokens of a user void that were issued until now: by their count, and those without one by their time,
/// before `from`. That always goes beyond the revocation before, as tokens may have been issued since that say the very
/// instant from which they were good. True if there is such a user.
pub async fn revoke_tokens(
    conn: &mut PgConnection,
    resource: ResourceId,
    user: Uuid,
    from: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE identities
         SET revocations = revocations + 1, tokens_valid_from = greatest(tokens_valid_from + interval '1 millisecond', $3)
         WHERE resource_id = $1 AND id = $2 AND deleted_at IS NULL",
        resource.as_uuid(),
        user,
        from
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Marks a user as deleted; its row stays, so that its tokens are known to be void and a second
/// deletion is told from that of a stranger. True if the resource has, or had, such a user.
pub async fn delete(
    conn: &mut PgConnection,
    resource: ResourceId,
    user: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE identities SET deleted_at = coalesce(deleted_at, $3) WHERE resource_id = $1 AND id = $2",
        resource.as_uuid(),
        user,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
