//! What a database holds before the first request: the default resource and its keys.

use uuid::Uuid;

use super::{Context, ServiceError};
use crate::domain::resource::ResourceId;
use crate::store;
use crate::store::access_keys::AccessKeyRow;
use crate::store::signing_keys::SigningKeyRow;

/// The resource that every database has; its key names on the Ably surface begin with it.
pub const DEFAULT_RESOURCE: &str = "dev";

/// What the default resource is to have. The primary key is set at each start; a secondary key
/// is kept if there is one.
pub struct Wanted<'a> {
    pub primary: &'a str,
    pub secondary: &'a str,
}

/// Makes the default resource and its access keys, and gives back every access key there is.
/// Replicas that start at once agree.
pub async fn prepare(ctx: &Context, wanted: &Wanted<'_>) -> Result<(ResourceId, Vec<AccessKeyRow>), ServiceError> {
    let now = ctx.clock.now();
    let guid = Uuid::new_v4();
    ctx.run(async |conn| {
        let resource = store::resources::ensure(conn, DEFAULT_RESOURCE, guid, now).await?;
        store::access_keys::set(conn, resource, "primary", wanted.primary).await?;
        store::access_keys::ensure(conn, resource, "secondary", wanted.secondary).await?;
        let keys = store::access_keys::all(conn).await?;
        Ok((resource, keys))
    })
    .await
}

/// The keys that user tokens are signed with, of every resource, the one to sign with first.
pub async fn signing_keys(ctx: &Context) -> Result<Vec<SigningKeyRow>, ServiceError> {
    ctx.run(async |conn| store::signing_keys::all(conn).await).await
}

/// Keeps a resource's first signing key, unless another replica was quicker.
pub async fn keep_first_signing_key(ctx: &Context, key: &SigningKeyRow) -> Result<(), ServiceError> {
    let now = ctx.clock.now();
    ctx.run(async |conn| store::signing_keys::insert_first(conn, key, now).await).await
}
