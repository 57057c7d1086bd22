//! One function an operation, one transaction each.

pub mod changes;
pub mod clocks;
pub mod doors;
pub mod health;
pub mod identities;
pub mod keys;
pub mod named_rooms;
pub mod outage;
pub mod rooms;
pub mod rosters;
pub mod serial_ceilings;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::timeout;

use self::clocks::Skew;
use self::health::{Found, Writes};
use self::outage::{Failures, Refusals};
use crate::clock::Clock;
use crate::domain::room_id::{RoomId, RoomIds};
use crate::store::batch::{Batch, Item};
use crate::store::doors::Asked;
use crate::store::new_rooms::NewRoom;
use crate::store::pages::Page;
use crate::store::participants::Change;
use crate::store::pool::Pool;
use crate::store::rooms::Find;
use crate::store::{self, Cause, StoreError};

/// What every operation works with.
#[derive(Debug, Clone)]
pub struct Context {
    pub db: Pool,
    pub clock: Clock,
    /// The most participants of a roster.
    pub max_participants: u32,
    /// By how much the clocks differ.
    pub skew: Skew,
    /// Operations that failed because the database was not available.
    pub failures: Failures,
    /// Requests that were refused because more came than could be answered in time.
    pub refusals: Refusals,
    writes: Writes,
    readiness: Found,
    room_ids: Arc<RoomIds>,
    batches: Arc<Batches>,
}

/// What requests that are in flight together share a statement for.
#[derive(Debug)]
struct Batches {
    gets: Batch<Find>,
    pages: Batch<Page>,
    creates: Batch<NewRoom>,
    changes: Batch<Change>,
    doors: Batch<Asked<RoomId>>,
    named_doors: Batch<Asked<Arc<str>>>,
}

/// The database work that a request causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Get,
    List,
    Create,
    ChangeRoster,
    /// Anything else, which takes a connection of its own.
    Other,
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
    #[error("{}", .0.as_ref().map_or_else(|| "concurrent changes left no turn to this one".to_owned(), ToString::to_string))]
    Unavailable(Option<StoreError>),
    /// More requests come than can be answered in time. Nothing was done; trying again later helps.
    #[error("the service has more to do than it can answer in time")]
    Overloaded,
    #[error("{0}")]
    Fault(StoreError),
}

/// An operation that takes longer is abandoned: its answer of 503 is due within 2 s.
const PATIENCE: Duration = Duration::from_millis(1_600);

impl Context {
    /// A context whose room ids count from `room_id_offset`.
    pub fn new(db: Pool, clock: Clock, max_participants: u32, room_id_offset: u16) -> Self {
        let room_ids = Arc::new(RoomIds::starting_at(room_id_offset));
        Self {
            batches: Arc::new(Batches::new(&db)),
            db,
            clock,
            max_participants,
            skew: Skew::default(),
            failures: Failures::default(),
            refusals: Refusals::default(),
            writes: Writes::default(),
            readiness: Found::default(),
            room_ids,
        }
    }

    /// The same, with connections of its own for one of so many threads.
    pub fn for_one_of(&self, threads: usize) -> Self {
        let db = self.db.for_one_of(threads);
        Self { batches: Arc::new(Batches::new(&db)), db, ..self.clone() }
    }

    /// Whether the database has so much of this work to do already that more of it would be refused.
    pub fn is_overloaded(&self, work: Work) -> bool {
        match work {
            Work::Get => self.batches.gets.is_overloaded(),
            Work::List => self.batches.pages.is_overloaded(),
            Work::Create => self.batches.creates.is_overloaded(),
            Work::ChangeRoster => self.batches.changes.is_overloaded(),
            Work::Other => self.db.is_overloaded(PATIENCE),
        }
    }

    /// Runs `operation` on a connection, again if it lost against another transaction.
    async fn run<T>(
        &self,
        operation: impl AsyncFn(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, ServiceError> {
        self.count(self.db.run(PATIENCE, operation).await.map_err(ServiceError::from))
    }

    /// The same for what changes something, which tells whether the database can be written to.
    async fn write<T>(
        &self,
        operation: impl AsyncFn(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, ServiceError> {
        let done = self.run(operation).await;
        self.writes.add(&done);
        done
    }

    /// The same for an item that changes something.
    async fn share_write<I: Item>(&self, batch: &Batch<I>, item: I) -> Result<I::Value, ServiceError> {
        let done = self.share(batch, item).await;
        self.writes.add(&done);
        done
    }

    /// Asks for an item, in one statement with those who ask for others at the same time.
    async fn share<I: Item>(&self, batch: &Batch<I>, item: I) -> Result<I::Value, ServiceError> {
        self.count(batch.ask(item).await.map_err(ServiceError::from))
    }

    /// Gives up what takes longer than anybody waits.
    async fn within<T>(&self, work: impl Future<Output = Result<T, ServiceError>>) -> Result<T, ServiceError> {
        let slow = || self.count(Err(StoreError::from(Cause::SlowStatement).into()));
        timeout(PATIENCE, work).await.unwrap_or_else(|_| slow())
    }

    fn count<T>(&self, done: Result<T, ServiceError>) -> Result<T, ServiceError> {
        done.inspect_err(|error| match error {
            ServiceError::Overloaded => self.refusals.add(),
            error => self.failures.add(error),
        })
    }
}

impl Batches {
    fn new(db: &Pool) -> Self {
        Self {
            gets: Batch::new(db, PATIENCE, |conn, asked| {
                Box::pin(async move { store::rooms::find_all(conn, &asked).await })
            }),
            pages: Batch::new(db, PATIENCE, |conn, asked| {
                Box::pin(async move { store::pages::find_all(conn, &asked).await })
            }),
            creates: Batch::new(db, PATIENCE, |conn, new| {
                Box::pin(async move { store::new_rooms::insert_all(conn, &new).await })
            }),
            changes: Batch::new(db, PATIENCE, |conn, changes| {
                Box::pin(async move { store::participants::apply_all(conn, &changes).await })
            }),
            doors: Batch::new(db, PATIENCE, |conn, asked| {
                Box::pin(async move { store::doors::find_each(conn, &asked).await })
            }),
            named_doors: Batch::new(db, PATIENCE, |conn, asked| {
                Box::pin(async move { store::doors::find_each_by_name(conn, &asked).await })
            }),
        }
    }
}

impl ServiceError {
    /// Logs that something was not done, and is tried again later. That the database is not available has a line of its
    /// own, for all that fails by it ([`outage`]).
    pub fn log(&self, not_done: &'static str) {
        match self {
            Self::Unavailable(_) | Self::Overloaded => tracing::debug!(error = %self, "{not_done}"),
            _ => tracing::warn!(error = %self, "{not_done}"),
        }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fault(_) => Self::Fault(error),
            StoreError::Overloaded => Self::Overloaded,
            _ => Self::Unavailable(Some(error)),
        }
    }
}
