//! Hints from one replica to the others that something was changed: NOTIFY, over tables that are looked at anyway.

use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPoolOptions};

use super::StoreError;
use super::pool::Pool;

const CHANNEL: &str = "roomkeeper_changes";

/// What a hint may be long, in bytes; the database takes less than 8,000.
pub const LONGEST: usize = 7_000;

/// Tells all replicas that listen, this one as well.
pub async fn tell(conn: &mut PgConnection, hint: &str) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_notify($1, $2)", CHANNEL, hint).execute(conn).await?;
    Ok(())
}

/// Hears what is told, over a connection of its own.
pub struct Listener(PgListener);

impl Listener {
    /// Listens from now on.
    pub async fn open(pool: &Pool) -> Result<Self, StoreError> {
        let own = PgPoolOptions::new().max_connections(1).connect_lazy_with(pool.options().clone());
        let mut listener = PgListener::connect_with(&own).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// The next hint. `None` if the connection broke off: it listens again, and some were missed.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        Ok(self.0.try_recv().await?.map(|hint| hint.payload().to_owned()))
    }
}
