//! The connections to the database, and its schema.

use std::str::FromStr as _;
use std::time::Duration;

pub use sqlx::PgPool as Pool;
use sqlx::migrate::{MigrateError, Migrator};
pub use sqlx::postgres::PgConnectOptions as Options;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::StoreError;

/// The schema's history.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// The most connections of one process.
const CONNECTIONS: u32 = 20;
/// How long a request waits for a connection: an answer of 503 is due within 2 s.
const ACQUIRE: Duration = Duration::from_millis(1_500);
/// A connection that rested longer is asked whether it still lives, before a request is sent on it.
const RESTED: Duration = Duration::from_secs(1);
/// A statement that is still running then was given up by its request long ago.
const STATEMENT_TIMEOUT: &str = "5s";

/// Why a URL can't be used.
#[derive(Debug, thiserror::Error)]
#[error("not a Postgres URL")] // sqlx's own words may repeat the password
pub struct UrlError;

/// Reads a Postgres URL.
pub fn options_from_url(url: &str) -> Result<Options, UrlError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(UrlError);
    }
    Options::from_str(url).map_err(|_| UrlError)
}

/// The pool that the service works with. It connects when it is first asked to.
pub fn pool(options: Options) -> Pool {
    let options = options.application_name("roomkeeper").options([("statement_timeout", STATEMENT_TIMEOUT)]);
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                if meta.idle_for > RESTED {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// Brings the schema up to date. Safe from several processes at once: the migrator takes turns.
///
/// # Errors
/// The database can't be reached, or holds a schema that is not ours or newer.
pub async fn migrate(options: &Options) -> Result<(), MigrateError> {
    let mut conn = PgConnection::connect_with(options).await?;
    let done = MIGRATIONS.run(&mut conn).await;
    conn.close().await?;
    done
}

/// Makes a database unless it is there.
pub async fn create_database(maintenance: &Options, name: &'static str) -> Result<(), StoreError> {
    let mut conn = PgConnection::connect_with(maintenance).await?;
    let there = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(name).fetch_optional(&mut conn).await?;
    if there.is_none() {
        // DDL takes no parameters; the name is a constant of ours.
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE \"{name}\""))).execute(&mut conn).await?;
    }
    conn.close().await?;
    Ok(())
}

/// Asks the database for nothing, to see that it answers.
pub async fn ping(conn: &mut PgConnection) -> Result<(), StoreError> {
    Ok(conn.ping().await?)
}
