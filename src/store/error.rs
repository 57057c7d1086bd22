//! What can go wrong between us and the database, as far as anybody reacts to it.

use std::fmt;
use std::sync::Arc;

use sqlx::error::DatabaseError;

use super::sqlstate::{self, Class};

/// The requests of one statement share its error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, or not now. The client may try again.
    #[error("{0}")]
    Unavailable(Cause),
    /// More requests wait for the database than it can answer in time. Nothing was done; the client may try again.
    #[error("the database has more to do than it can answer in time")]
    Overloaded,
    /// The transaction lost against another one and may be run again.
    #[error("the transaction has to be run again: {0}")]
    Conflict(Report),
    /// A fault of ours.
    #[error("the database refused: {0}")]
    Fault(Report),
}

/// Why the database is not available.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Cause {
    #[error("no connection to the database was free in time, and none could be made")]
    NoConnection,
    #[error("the database takes too long for a statement")]
    SlowStatement,
    #[error("the request waited too long for its statement to begin")]
    Queue,
    #[error("{0}")]
    Failed(Report),
}

/// The kind of a cause, by which failures are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Lock,
    SlowStatement,
    NoConnection,
    Queue,
    /// The database refused, and names the reason.
    Refused,
}

/// An error of the driver. Displays as what Postgres said, with the SQLSTATE, or as what the driver says.
#[derive(Debug, Clone)]
pub struct Report(Arc<sqlx::Error>);

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let class = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Class::Passing,
            sqlx::Error::Database(reported) => reported.code().as_deref().map_or(Class::Fault, sqlstate::class),
            _ => Class::Fault,
        };
        let report = Report::from(error);
        match class {
            Class::Conflict => Self::Conflict(report),
            Class::Passing => Self::Unavailable(Cause::Failed(report)),
            Class::Fault => Self::Fault(report),
        }
    }
}

impl From<Cause> for StoreError {
    fn from(cause: Cause) -> Self {
        Self::Unavailable(cause)
    }
}

impl StoreError {
    /// What Postgres reported, with its SQLSTATE; `None` if it reported nothing.
    pub fn reported(&self) -> Option<String> {
        match self {
            Self::Unavailable(Cause::Failed(report)) | Self::Conflict(report) | Self::Fault(report) => {
                report.0.as_database_error().map(|_| report.to_string())
            }
            _ => None,
        }
    }

    /// True if the database refused the statement, and so did nothing of it.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Conflict(_) => true,
            Self::Fault(report) => matches!(*report.0, sqlx::Error::Database(_)),
            Self::Unavailable(_) | Self::Overloaded => false,
        }
    }
}

impl Cause {
    /// The kind of this cause.
    pub fn kind(&self) -> Kind {
        let report = match self {
            Self::NoConnection => return Kind::NoConnection,
            Self::SlowStatement => return Kind::SlowStatement,
            Self::Queue => return Kind::Queue,
            Self::Failed(report) => report,
        };
        match report.code().as_deref() {
            None => Kind::NoConnection,
            Some(sqlstate::LOCK_NOT_AVAILABLE) => Kind::Lock,
            Some(sqlstate::QUERY_CANCELED) => Kind::SlowStatement,
            Some(code) if sqlstate::is_of_connection(code) => Kind::NoConnection,
            Some(_) => Kind::Refused,
        }
    }
}

impl From<sqlx::Error> for Report {
    fn from(error: sqlx::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl Report {
    fn code(&self) -> Option<String> {
        Some(self.0.as_database_error()?.code()?.into_owned())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_database_error(), self.code()) {
            (Some(reported), Some(code)) => {
                write!(f, "{} (SQLSTATE {code}", reported.message())?;
                if let Some(constraint) = reported.constraint() {
                    write!(f, ", constraint {constraint}")?;
                }
                f.write_str(")")
            }
            _ => write!(f, "{}", self.0),
        }
    }
}

/// True if a row was refused because `constraint` holds already.
pub(super) fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    error.as_database_error().and_then(DatabaseError::constraint) == Some(constraint)
}
