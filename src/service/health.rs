//! Whether the service can do its work.

use super::{Context, ServiceError};
use crate::store;

/// Asks the database for an answer.
///
/// # Errors
/// `Unavailable` if none comes in time.
pub async fn ready(ctx: &Context) -> Result<(), ServiceError> {
    ctx.run(async |conn| store::pool::ping(conn).await).await
}
