//! One function an operation, one transaction each.

pub mod changes;
pub mod doors;
pub mod health;
pub mod identities;
pub mod keys;
pub mod named_rooms;
pub mod rooms;
pub mod rosters;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;

use crate::clock::Clock;
use crate::domain::door::Door;
use crate::domain::resource::ResourceId;
use crate::domain::room::Room;
use crate::domain::room_id::{RoomId, RoomIds};
use crate::store::StoreError;
use crate::store::batch::Batch;
use crate::store::doors::{Asked, Named};
use crate::store::pool::Pool;

/// What every operation works with.
#[derive(Debug, Clone)]
pub struct Context {
    pub db: Pool,
    pub clock: Clock,
    /// The most participants of a roster.
    pub max_participants: u32,
    room_ids: Arc<RoomIds>,
    gets: Batch<(ResourceId, RoomId), Option<Room>>,
    doors: Batch<Asked<RoomId>, Option<Door>>,
    named_doors: Batch<Asked<Arc<str>>, Named>,
}

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("no such room")]
    RoomNotFound,
    #[error("the roster would hold more than {max}")]
    TooManyParticipants { max: u32 },
    /// A request id came again with another body or date.
    #[error("the repeated request differs from the first")]
    RepeatDiffers,
    /// The room of a name has other options than those that were asked for.
    #[error("the room of that name has other options")]
    OtherOptions,
    #[error("no such identity of this resource")]
    IdentityNotOwned,
    /// The database is away or overloaded; trying again may help.
    #[error("the database is not available")]
    Unavailable(#[source] Option<StoreError>),
    #[error("a fault")]
    Fault(#[source] StoreError),
}

/// An operation that the database has not done by then is given up: its answer of 503 is due within 2 s.
const PATIENCE: Duration = Duration::from_millis(1_600);
/// How often a transaction that lost against another is run.
const ATTEMPTS: usize = 5;

impl Context {
    /// A context whose room ids count from `room_id_offset`.
    pub fn new(db: Pool, clock: Clock, max_participants: u32, room_id_offset: u16) -> Self {
        let room_ids = Arc::new(RoomIds::starting_at(room_id_offset));
        let (gets, doors, named_doors) = Default::default();
        Self { db, clock, max_participants, room_ids, gets, doors, named_doors }
    }

    /// The same, with connections of its own for one of so many threads.
    pub fn for_one_of(&self, threads: usize) -> Self {
        let (gets, doors, named_doors) = Default::default();
        Self { db: self.db.for_one_of(threads), gets, doors, named_doors, ..self.clone() }
    }

    /// Runs `operation` on a connection, again if it lost against another transaction.
    async fn run<T>(
        &self,
        operation: impl AsyncFn(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, ServiceError> {
        self.run_within(PATIENCE, operation).await
    }

    /// Asks for a key, in one statement with those who ask for others at the same time. `find` gives a value for each
    /// key, in their order.
    async fn share<K: Clone, V>(
        &self,
        batch: &Batch<K, V>,
        key: K,
        find: impl AsyncFn(&mut PgConnection, &[K]) -> Result<Vec<V>, StoreError>,
    ) -> Result<V, ServiceError> {
        let run = async |keys: &[K]| self.run(async |conn| find(conn, keys).await).await;
        let shared = async {
            match batch.ask(key.clone(), run).await? {
                Some(value) => Ok(Some(value)),
                None => Ok(run(&[key]).await?.pop()), // only what is bad fails
            }
        };
        let found = tokio::time::timeout(PATIENCE, shared).await.unwrap_or(Ok(None))?;
        found.ok_or(ServiceError::Unavailable(None))
    }

    /// The same with another patience, for what nobody waits for.
    async fn run_within<T>(
        &self,
        patience: Duration,
        operation: impl AsyncFn(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, ServiceError> {
        let attempts = async {
            let mut taken = self.db.take().await?;
            let mut done = operation(taken.conn()?).await;
            for _ in 1..ATTEMPTS {
                let Err(StoreError::Conflict(error)) = &done else { break };
                tracing::debug!(%error, "running it again");
                done = operation(taken.conn()?).await;
            }
            if done.is_ok() {
                taken.give_back();
            }
            done
        };
        match tokio::time::timeout(patience, attempts).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error @ StoreError::Fault(_))) => Err(ServiceError::Fault(error)),
            Ok(Err(error)) => Err(ServiceError::Unavailable(Some(error))),
            Err(_) => Err(ServiceError::Unavailable(None)),
        }
    }
}
