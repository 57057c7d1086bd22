//! The schema of the database: how it is brought up to date, and whether it is what this release works with.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use super::StoreError;
use super::pool::{Options, connect};
use super::sqlstate::LOCK_NOT_AVAILABLE;

/// The schema's history.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long a migration waits for a lock at a time: everybody else waits behind it meanwhile.
const LOCK_TIMEOUT: &str = "2s";
/// The pause between two attempts, in which statements that queued behind the lock proceed.
const PAUSE: Duration = Duration::from_secs(1);
/// How long attempts are repeated.
const ATTEMPTS_FOR: Duration = Duration::from_secs(60);

/// Why a database can't be worked with. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("the schema is older than this release: run `roomkeeper migrate`, or start without --no-migrate")]
    Older,
    #[error("the schema is of a newer release: start that one")]
    Newer,
    #[error(
        "the database's encoding is {0}, and names of rooms need UTF8: make it with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
    )]
    Encoding(String),
    #[error("others hold the tables: no lock was free within a minute; end their long transactions, and try again")]
    Locked,
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SchemaError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Brings the schema up to date, unless it is: then no privilege to make tables is needed. Safe from several processes
/// at once, as the migrator takes turns.
///
/// # Errors
/// The database can't be reached, or holds a schema that is not ours or newer.
pub async fn migrate(options: &Options) -> Result<(), SchemaError> {
    let mut conn = connect(options).await?;
    check_encoding(&mut conn).await?;
    if check_version(&mut conn).await.is_ok() {
        return Ok(conn.close().await?);
    }
    sqlx::query("SELECT set_config('lock_timeout', $1, false)").bind(LOCK_TIMEOUT).execute(&mut conn).await?;
    let began = Instant::now();
    loop {
        match MIGRATIONS.run(&mut conn).await {
            Ok(()) => return Ok(conn.close().await?),
            Err(error) if !is_locked(&error) => return Err(error.into()),
            Err(_) if began.elapsed() >= ATTEMPTS_FOR => return Err(SchemaError::Locked),
            Err(_) => {
                tracing::warn!("a migration waits for tables that others hold: it is tried again");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Checks that the database can be worked with as it is.
///
/// # Errors
/// It has another schema or encoding, or can't be reached.
pub async fn check(options: &Options) -> Result<(), SchemaError> {
    let mut conn = connect(options).await?;
    check_encoding(&mut conn).await?;
    check_version(&mut conn).await?;
    Ok(conn.close().await?)
}

async fn check_encoding(conn: &mut PgConnection) -> Result<(), SchemaError> {
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(conn).await?;
    if encoding == "UTF8" { Ok(()) } else { Err(SchemaError::Encoding(encoding)) }
}

/// Compares the migrations that were applied with those of this release. What has the number of one and another text is
/// for the migrator to tell.
async fn check_version(conn: &mut PgConnection) -> Result<(), SchemaError> {
    let is_there: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *conn).await?;
    if !is_there {
        return Err(SchemaError::Older);
    }
    let applied: Vec<(i64, Vec<u8>, bool)> =
        sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations").fetch_all(conn).await?;
    let is_applied = |version: i64, checksum: &[u8]| {
        applied.iter().any(|(v, c, success)| *success && *v == version && c.as_slice() == checksum)
    };
    if applied.iter().any(|(version, ..)| !MIGRATIONS.version_exists(*version)) {
        return Err(SchemaError::Newer);
    }
    let is_current = MIGRATIONS.iter().all(|migration| is_applied(migration.version, &migration.checksum));
    if is_current { Ok(()) } else { Err(SchemaError::Older) }
}

fn is_locked(error: &MigrateError) -> bool {
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = error else { return false };
    cause.as_database_error().is_some_and(|told| told.code().as_deref() == Some(LOCK_NOT_AVAILABLE))
}
