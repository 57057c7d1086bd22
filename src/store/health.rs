//! Whether this session may write.

use sqlx::{Connection as _, PgConnection};

use super::StoreError;

/// Writes nothing, in the way of every write. It fails as they would: on a server that only reads, without the
/// privilege, or while somebody holds the tables.
pub async fn may_write(conn: &mut PgConnection) -> Result<(), StoreError> {
    let mut tx = conn.begin().await?;
    sqlx::query!("SET LOCAL lock_timeout = '500ms'").execute(&mut *tx).await?;
    sqlx::query!(
        r#"WITH room AS (INSERT INTO rooms SELECT * FROM rooms WHERE false),
                participant AS (INSERT INTO participants SELECT * FROM participants WHERE false),
                answer AS (INSERT INTO repeated_requests SELECT * FROM repeated_requests WHERE false),
                identity AS (INSERT INTO identities SELECT * FROM identities WHERE false)
           SELECT 1 AS "one!""#
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(tx.rollback().await?)
}
