//! Times that the serials of live rooms stay below, over restarts (docs/order.md).

use super::{Context, ServiceError};
use crate::domain::resource::ResourceId;
use crate::store;
pub use crate::store::serial_ceilings::Raised;

/// Raises the ceilings of resources to what is given, and by `spare` at least; in milliseconds since 1970.
pub async fn raise(ctx: &Context, to: &[(ResourceId, u64)], spare: u64) -> Result<Vec<Raised>, ServiceError> {
    let millis = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX / 2);
    let to: Vec<(ResourceId, i64)> = to.iter().map(|(resource, ceiling)| (*resource, millis(*ceiling))).collect();
    ctx.run(async |conn| store::serial_ceilings::raise(conn, &to, millis(spare)).await).await
}
