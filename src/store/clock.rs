//! The database's clock. No other statement asks for the time: what is compared with it is a parameter.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// What the database's clock says now.
pub async fn now(conn: &mut PgConnection) -> Result<DateTime<Utc>, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(conn).await?)
}
