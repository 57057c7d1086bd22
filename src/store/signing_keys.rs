//! The keys that user tokens are signed with, as rows.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::resource::ResourceId;

/// A key as it is kept.
pub struct SigningKeyRow {
    pub resource: ResourceId,
    pub kid: String,
    /// PKCS #8, PEM.
    pub private_pem: String,
    pub created_at: DateTime<Utc>,
}

/// Every resource's keys, the newest first.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<SigningKeyRow>, StoreError> {
    let rows = sqlx::query!(
        "SELECT resource_id, kid, private_pem, created_at FROM signing_keys ORDER BY resource_id, created_at DESC, kid"
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| SigningKeyRow {
        resource: row.resource_id.into(),
        kid: row.kid,
        private_pem: row.private_pem,
        created_at: row.created_at,
    });
    Ok(rows.collect())
}

/// Keeps a resource's first key, unless another replica was quicker: both wait for the resource's
/// row, and only then look.
pub async fn insert_first(conn: &mut PgConnection, key: &SigningKeyRow) -> Result<(), StoreError> {
    let mut tx = sqlx::Connection::begin(conn).await?;
    sqlx::query!("SELECT FROM resources WHERE id = $1 FOR UPDATE", key.resource.as_uuid()).fetch_one(&mut *tx).await?;
    let resource = key.resource.as_uuid();
    let is_first = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM signing_keys WHERE resource_id = $1) AS "first!""#,
        resource
    )
    .fetch_one(&mut *tx)
    .await?;
    if is_first {
        insert(&mut tx, key).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Keeps a key beside those there are.
pub async fn insert(conn: &mut PgConnection, key: &SigningKeyRow) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO signing_keys (resource_id, kid, private_pem, created_at) VALUES ($1, $2, $3, $4)",
        key.resource.as_uuid(),
        key.kid,
        key.private_pem,
        key.created_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many keys had a newer one beside them already at `before`.
pub async fn count_superseded(conn: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let due = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM signing_keys AS old
           WHERE EXISTS (SELECT FROM signing_keys AS newer
                         WHERE newer.resource_id = old.resource_id AND newer.created_at > old.created_at
                           AND newer.created_at <= $1)"#,
        before
    )
    .fetch_one(conn)
    .await?;
    Ok(due.unsigned_abs())
}

/// Deletes the keys that had a newer one beside them already at `before`, and counts them.
pub async fn delete_superseded(conn: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM signing_keys AS old USING signing_keys AS newer
         WHERE newer.resource_id = old.resource_id AND newer.created_at > old.created_at AND newer.created_at <= $1",
        before
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
