//! The default resource, and the keys of every resource.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Context, ServiceError};
use crate::domain::identity::TokenLifetime;
use crate::domain::resource::ResourceId;
use crate::store;
use crate::store::access_keys::AccessKeyRow;
use crate::store::signing_keys::SigningKeyRow;

/// The resource that every database has; its key names on the Ably surface begin with it.
pub const DEFAULT_RESOURCE: &str = "dev";

/// Makes the default resource and its access keys. The primary key, and whether the resource has
/// rooms that no backend made, are set at each start; a secondary key is kept if there is one. Replicas that start at once agree.
pub async fn prepare(
    ctx: &Context,
    primary: &str,
    secondary: &str,
    named_rooms: bool,
) -> Result<ResourceId, ServiceError> {
    let now = ctx.clock.now();
    let guid = Uuid::new_v4();
    ctx.run(async |conn| {
        let resource = store::resources::ensure(conn, DEFAULT_RESOURCE, guid, now).await?;
        store::resources::set_named_rooms(conn, resource, named_rooms).await?;
        store::access_keys::set(conn, resource, "primary", primary).await?;
        store::access_keys::ensure(conn, resource, "secondary", secondary).await?;
        Ok(resource)
    })
    .await
}

/// The default resource, once it is made.
pub async fn default_resource(ctx: &Context) -> Result<Option<ResourceId>, ServiceError> {
    ctx.run(async |conn| store::resources::find(conn, DEFAULT_RESOURCE).await).await
}

/// Every access key, primary ones first, and every signing key, a resource's newest first.
pub async fn all(ctx: &Context) -> Result<(Vec<AccessKeyRow>, Vec<SigningKeyRow>), ServiceError> {
    ctx.run(async |conn| {
        let access = store::access_keys::all(conn).await?;
        Ok((access, store::signing_keys::all(conn).await?))
    })
    .await
}

/// Keeps a resource's first signing key, unless another replica was quicker.
pub async fn keep_first_signing_key(ctx: &Context, key: &SigningKeyRow) -> Result<(), ServiceError> {
    ctx.run(async |conn| store::signing_keys::insert_first(conn, key).await).await
}

/// Keeps another signing key beside those there are.
pub async fn add_signing_key(ctx: &Context, key: &SigningKeyRow) -> Result<(), ServiceError> {
    ctx.run(async |conn| store::signing_keys::insert(conn, key).await).await
}

/// Deletes the signing keys that no token can be signed with any more: a newer one has been there
/// for as long as a token lives, and for as long as replicas may take to go over to it.
pub async fn sweep_signing_keys(ctx: &Context, now: DateTime<Utc>) -> Result<u64, ServiceError> {
    ctx.run(async |conn| store::signing_keys::delete_superseded(conn, superseded_before(now)).await).await
}

/// How many [`sweep_signing_keys`] would delete.
pub async fn due_signing_keys(ctx: &Context, now: DateTime<Utc>) -> Result<u64, ServiceError> {
    ctx.run(async |conn| store::signing_keys::count_superseded(conn, superseded_before(now)).await).await
}

fn superseded_before(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::minutes(i64::from(TokenLifetime::MAX_MINUTES)) - TimeDelta::minutes(30)
}
