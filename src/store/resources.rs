//! Tenants as rows.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::resource::ResourceId;

/// The resource of that name, made with the given guid if there is none. Replicas that start at once agree.
pub async fn ensure(
    conn: &mut PgConnection,
    name: &str,
    guid: Uuid,
    now: DateTime<Utc>,
) -> Result<ResourceId, StoreError> {
    sqlx::query!(
        "INSERT INTO resources (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        guid,
        name,
        now
    )
    .execute(&mut *conn)
    .await?;
    find(conn, name).await?.ok_or_else(|| StoreError::Fault(sqlx::Error::RowNotFound))
}

/// The resource of that name, if it is made.
pub async fn find(conn: &mut PgConnection, name: &str) -> Result<Option<ResourceId>, StoreError> {
    let id = sqlx::query_scalar!("SELECT id FROM resources WHERE name = $1", name).fetch_optional(conn).await?;
    Ok(id.map(ResourceId::from))
}
