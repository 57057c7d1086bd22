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
    find(conn, name).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// Sets whether a resource has live rooms that no backend made.
pub async fn set_named_rooms(
    conn: &mut PgConnection,
    resource: ResourceId,
    named_rooms: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE resources SET named_rooms = $2 WHERE id = $1 AND named_rooms <> $2",
        resource.as_uuid(),
        named_rooms
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The resource of that name, if it is made.
pub async fn find(conn: &mut PgConnection, name: &str) -> Result<Option<ResourceId>, StoreError> {
    let id = sqlx::query_scalar!("SELECT id FROM resources WHERE name = $1", name).fetch_optional(conn).await?;
    Ok(id.map(ResourceId::from))
}
