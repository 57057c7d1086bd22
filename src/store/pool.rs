//! The connections to the database, and its schema.

use std::str::FromStr as _;
use std::time::Duration;

pub use sqlx::PgPool as Pool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
pub use sqlx::postgres::PgConnectOptions as Options;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres};

use super::StoreError;

/// The schema's history.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// The most connections of one process.
const CONNECTIONS: u32 = 20;
/// How long a request waits for a connection: an answer of 503 is due within 2 s.
const ACQUIRE: Duration = Duration::from_millis(1_400);
/// A connection that rested longer is asked whether it still lives, before a request is sent on it.
const RESTED: Duration = Duration::from_secs(1);
/// How long its answer may take. Then another connection is tried, within the same wait.
const ECHO: Duration = Duration::from_millis(300);
/// How long a database may take to let us in when the service starts.
const CONNECT: Duration = Duration::from_secs(10);
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
                if meta.idle_for <= RESTED {
                    return Ok(true);
                }
                match tokio::time::timeout(ECHO, conn.ping()).await {
                    Ok(answered) => answered.map(|()| true),
                    Err(_) => Err(sqlx::Error::PoolTimedOut), // it went silent: closed without a farewell
                }
            })
        })
        .connect_lazy_with(options)
}

/// Brings the schema up to date. Safe from several processes at once: the migrator takes turns.
///
/// # Errors
/// The database can't be reached, or holds a schema that is not ours or newer.
pub async fn migrate(options: &Options) -> Result<(), MigrateError> {
    let mut conn = connect(options).await?;
    let done = MIGRATIONS.run(&mut conn).await;
    conn.close().await?;
    done
}

/// Makes a database unless it is there.
pub async fn create_database(maintenance: &Options, name: &'static str) -> Result<(), StoreError> {
    let mut conn = connect(maintenance).await?;
    let there = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(name).fetch_optional(&mut conn).await?;
    if there.is_none() {
        // DDL takes no parameters; the name is a constant of ours.
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE \"{name}\""))).execute(&mut conn).await?;
    }
    conn.close().await?;
    Ok(())
}

async fn connect(options: &Options) -> Result<PgConnection, sqlx::Error> {
    tokio::time::timeout(CONNECT, PgConnection::connect_with(options)).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Takes a connection that is closed when it is dropped, as an operation that was given up leaves it: nobody knows
/// when, or whether, its answer comes. [`give_back`] returns one that is done.
pub async fn take(pool: &Pool) -> Result<PoolConnection<Postgres>, StoreError> {
    let mut conn = pool.acquire().await?;
    conn.close_on_drop();
    Ok(conn)
}

/// Returns a connection in the background. The pool asks it for a sign of life first; one that went
/// silent by then must not keep its place for ever.
pub fn give_back(mut conn: PoolConnection<Postgres>) {
    tokio::spawn(tokio::time::timeout(ACQUIRE, conn.return_to_pool()));
}

/// Asks the database for nothing, to see that it answers.
pub async fn ping(conn: &mut PgConnection) -> Result<(), StoreError> {
    Ok(conn.ping().await?)
}
