//! The keys of a resource as rows.

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::resource::ResourceId;

/// A key as it is kept: base64 text.
#[derive(Debug)]
pub struct AccessKeyRow {
    pub resource: ResourceId,
    pub resource_name: String,
    pub name: String,
    pub secret: String,
}

/// Sets a key, whatever it was.
pub async fn set(conn: &mut PgConnection, resource: ResourceId, name: &str, secret: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO access_keys (resource_id, name, secret) VALUES ($1, $2, $3)
         ON CONFLICT (resource_id, name) DO UPDATE SET secret = excluded.secret
         WHERE access_keys.secret <> excluded.secret",
        resource.as_uuid(),
        name,
        secret
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps a key if there is one of that name, else sets it.
pub async fn ensure(conn: &mut PgConnection, resource: ResourceId, name: &str, secret: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO access_keys (resource_id, name, secret) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        resource.as_uuid(),
        name,
        secret
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Every key of every resource, primary keys first.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<AccessKeyRow>, StoreError> {
    let rows = sqlx::query!(
        "SELECT k.resource_id, r.name AS resource_name, k.name, k.secret
         FROM access_keys k JOIN resources r ON r.id = k.resource_id
         ORDER BY k.name, r.created_at, r.id"
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| AccessKeyRow {
        resource: row.resource_id.into(),
        resource_name: row.resource_name,
        name: row.name,
        secret: row.secret,
    });
    Ok(rows.collect())
}
