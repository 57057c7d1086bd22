//! Times that the serials of live rooms stay below, a row a resource.

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::resource::ResourceId;

/// A ceiling that was raised; in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    pub resource: ResourceId,
    pub before: i64,
    pub ceiling: i64,
}

/// Raises the ceilings of resources to what is given, and by `spare` at least. None is ever lowered.
pub async fn raise(conn: &mut PgConnection, to: &[(ResourceId, i64)], spare: i64) -> Result<Vec<Raised>, StoreError> {
    let resources: Vec<Uuid> = to.iter().map(|(resource, _)| resource.as_uuid()).collect();
    let ceilings: Vec<i64> = to.iter().map(|(_, ceiling)| *ceiling).collect();
    let rows = sqlx::query!(
        "INSERT INTO serial_ceilings AS kept (resource_id, ceiling, before)
         SELECT o.id, wanted.ceiling, 0
         FROM unnest($1::uuid[], $2::bigint[]) AS wanted (resource_id, ceiling)
         JOIN resources o ON o.id = wanted.resource_id
         ORDER BY o.id -- as every replica does, so that none waits for another in a circle
         ON CONFLICT (resource_id) DO UPDATE
         SET before = kept.ceiling, ceiling = greatest(kept.ceiling + $3, excluded.ceiling)
         RETURNING resource_id, before, ceiling",
        &resources,
        &ceilings,
        spare
    )
    .fetch_all(conn)
    .await?;
    let raised = |resource: Uuid, before, ceiling| Raised { resource: resource.into(), before, ceiling };
    Ok(rows.into_iter().map(|row| raised(row.resource_id, row.before, row.ceiling)).collect())
}
