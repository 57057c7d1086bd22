//! The keys of a resource as rows.

use sqlx::{Connection as _, PgConnection};

use super::StoreError;
use crate::domain::resource::ResourceId;

/// The names of a resource's keys.
const PRIMARY: &str = "primary";
const SECONDARY: &str = "secondary";

/// The keys of a resource, as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub primary: String,
    pub secondary: String,
}

/// A key as it is kept: base64 text.
#[derive(Debug)]
pub struct AccessKeyRow {
    pub resource: ResourceId,
    pub resource_name: String,
    pub name: String,
    pub secret: String,
}

/// Sets a key, whatever it was.
async fn set(conn: &mut PgConnection, resource: ResourceId, name: &str, secret: &str) -> Result<(), StoreError> {
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

/// Has `decide` say which keys a resource has from now on, given those that are stored. Of several processes that do so
/// at once, each is given what the one before decided. If it decides nothing, the keys stay as they are.
pub async fn settle<E>(
    conn: &mut PgConnection,
    resource: ResourceId,
    decide: impl FnOnce(Option<Pair>) -> Result<Pair, E>,
) -> Result<Result<(), E>, StoreError> {
    let mut tx = conn.begin().await?;
    let id = resource.as_uuid();
    sqlx::query!("SELECT id FROM resources WHERE id = $1 FOR UPDATE", id).fetch_one(&mut *tx).await?;
    let rows = sqlx::query!("SELECT name, secret FROM access_keys WHERE resource_id = $1", id);
    let rows = rows.fetch_all(&mut *tx).await?;
    let key = |name: &str| rows.iter().find(|row| row.name == name).map(|row| row.secret.clone());
    let stored = key(PRIMARY).zip(key(SECONDARY)).map(|(primary, secondary)| Pair { primary, secondary });
    let decided = match decide(stored) {
        Ok(decided) => decided,
        Err(refused) => return Ok(Err(refused)),
    };
    set(&mut tx, resource, PRIMARY, &decided.primary).await?;
    set(&mut tx, resource, SECONDARY, &decided.secondary).await?;
    tx.commit().await?;
    Ok(Ok(()))
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
