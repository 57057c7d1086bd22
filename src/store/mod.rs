//! Every line of SQL. Functions take a connection, so that the caller decides the transaction.

pub mod access_keys;
pub mod batch;
pub mod changes;
pub mod clock;
pub mod doors;
pub mod embedded;
pub mod error;
pub mod health;
pub mod identities;
pub mod named_rooms;
pub mod new_rooms;
pub mod pages;
pub mod participants;
pub mod pool;
pub mod repeated_requests;
pub mod resources;
pub mod rooms;
pub mod schema;
pub mod serial_ceilings;
pub mod session;
pub mod signing_keys;
pub mod sqlstate;
pub mod sweep;

pub use error::{Cause, Kind, StoreError};
