//! Whether connections are sessions of Postgres with the settings that they asked for: a pooler in between may drop the
//! settings, or give one session to several connections.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::timeout;

use super::pool::{Options, SETTINGS, connect, with_settings};
use super::{Cause, StoreError};

/// How many times sessions are compared: requests of other clients may take the session that would show it.
const ROUNDS: usize = 5;
/// A pooler may let a connection wait for a session.
const WAIT: Duration = Duration::from_secs(10);

/// Why the connections can't be worked with.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(
        "two connections share a session of Postgres, as with PgBouncer's pool_mode = transaction: use pool_mode = session, or connect to Postgres itself"
    )]
    Shared,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SessionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Checks that each connection has a session of its own, and returns the settings that did not arrive.
///
/// # Errors
/// Connections share a session, or none can be made.
pub async fn check(options: &Options) -> Result<Vec<&'static str>, SessionError> {
    let options = with_settings(options.clone());
    let (mut one, mut other) = (connect(&options).await?, connect(&options).await?);
    let is_shared = timeout(WAIT, are_shared(&mut one, &mut other)).await;
    if is_shared.map_err(|_| StoreError::from(Cause::SlowStatement))?? {
        return Err(SessionError::Shared);
    }
    let mut missing = Vec::new();
    for (name, value) in SETTINGS {
        if setting(&mut one, name).await? != value {
            missing.push(name);
        }
    }
    one.close().await?;
    other.close().await?;
    Ok(missing)
}

async fn are_shared(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, sqlx::Error> {
    for _ in 0..ROUNDS {
        if backend(one).await? == backend(other).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The process of a connection's session. Asked without a prepared statement, which shared sessions would confuse.
async fn backend(conn: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(conn).await?.try_get(0)
}

async fn setting(conn: &mut PgConnection, name: &str) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(conn).await
}
