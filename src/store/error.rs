//! What can go wrong between us and the database, as far as anybody reacts to it.

use std::sync::Arc;

use sqlx::error::DatabaseError;

use super::sqlstate::{self, Class};

/// Causes are shared by those whose statement it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, or not now. The client may try again.
    #[error("the database can't be reached")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// More requests wait for the database than it can answer in time. Nothing was done; the client may try again.
    #[error("the database has more to do than it can answer in time")]
    Overloaded,
    /// The transaction lost against another one and may be run again.
    #[error("the transaction has to be run again")]
    Conflict(#[source] Arc<sqlx::Error>),
    /// A fault of ours.
    #[error("the database refused")]
    Fault(#[source] Arc<sqlx::Error>),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let error = Arc::new(error);
        match &*error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(told) => match told.code().as_deref().map_or(Class::Fault, sqlstate::class) {
                Class::Conflict => Self::Conflict(error),
                Class::Passing => Self::Unavailable(error),
                Class::Fault => Self::Fault(error),
            },
            _ => Self::Fault(error),
        }
    }
}

impl StoreError {
    /// What Postgres told, with its SQLSTATE; `None` if it told nothing.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::Unavailable(error) | Self::Conflict(error) | Self::Fault(error) => {
                let told = error.as_database_error()?;
                Some(format!("{} ({})", told.message(), told.code().as_deref().unwrap_or("no SQLSTATE")))
            }
            Self::Overloaded => None,
        }
    }

    /// True if the database refused the statement, and so did nothing of it.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Conflict(_) => true,
            Self::Fault(error) => matches!(**error, sqlx::Error::Database(_)),
            Self::Unavailable(_) | Self::Overloaded => false,
        }
    }
}

/// True if a row was refused because `constraint` holds already.
pub(super) fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    error.as_database_error().and_then(DatabaseError::constraint) == Some(constraint)
}
