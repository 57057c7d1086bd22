//! The keys that user tokens are signed with, as rows.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::resource::ResourceId;

/// A key as it is kept.
#[derive(Debug)]
pub struct SigningKeyRow {
    pub resource: ResourceId,
    pub kid: String,
    /// PKCS #8, PEM.
    pub private_pem: String,
}

/// Every resource's keys, the one to sign with first.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<SigningKeyRow>, StoreError> {
    let rows = sqlx::query!(
        "SELECT resource_id, kid, private_pem FROM signing_keys ORDER BY resource_id, created_at DESC, kid"
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| SigningKeyRow {
        resource: row.resource_id.into(),
        kid: row.kid,
        private_pem: row.private_pem,
    });
    Ok(rows.collect())
}

/// Keeps a resource's first key, unless another replica was quicker.
pub async fn insert_first(conn: &mut PgConnection, key: &SigningKeyRow, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO signing_keys (resource_id, kid, private_pem, created_at)
         SELECT $1, $2, $3, $4 FROM (SELECT FROM resources WHERE id = $1 FOR UPDATE) AS turn
         WHERE NOT EXISTS (SELECT FROM signing_keys WHERE resource_id = $1)",
        key.resource.as_uuid(),
        key.kid,
        key.private_pem,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
