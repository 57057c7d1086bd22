//! The default resource, and the keys of every resource.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Context, ServiceError};
use crate::domain::identity::TokenLifetime;
use crate::domain::resource::ResourceId;
use crate::store;
use crate::store::access_keys::{AccessKeyRow, Pair};
use crate::store::signing_keys::SigningKeyRow;

/// The resource that every database has; its key names on the Ably surface begin with it.
pub const DEFAULT_RESOURCE: &str = "dev";

/// The access keys that a service is started with.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    pub primary: &'a str,
    pub secondary: Option<&'a str>,
    /// Whether stored keys are replaced that differ.
    pub replaces: bool,
}

/// Why a service is not started with its keys.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The primary key is neither of those that are stored.
    #[error("another access key is stored")]
    OtherPrimary,
    /// The secondary key is neither of those that are stored.
    #[error("another secondary access key is stored")]
    OtherSecondary,
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Decides which keys are stored from now on. Clients of other instances sign with those that are stored, so these are
/// only replaced if that is asked for, or if everybody knows them. A new primary key that was the secondary one changes
/// places with it: both stay good.
fn keep(
    stored: Option<Pair>,
    given: &Given<'_>,
    generated: &str,
    is_public: fn(&str) -> bool,
) -> Result<Pair, PrepareError> {
    let primary = given.primary.to_owned();
    let Some(stored) = stored else {
        return Ok(Pair { primary, secondary: given.secondary.unwrap_or(generated).to_owned() });
    };
    let is_stored = |key: &str| key == stored.primary || key == stored.secondary;
    let replaces = given.replaces || is_public(&stored.primary);
    if !replaces && !is_stored(given.primary) {
        return Err(PrepareError::OtherPrimary);
    }
    if !replaces && given.secondary.is_some_and(|key| !is_stored(key)) {
        return Err(PrepareError::OtherSecondary);
    }
    if !replaces {
        return Ok(stored);
    }
    let other = if primary == stored.secondary { stored.primary } else { stored.secondary };
    Ok(Pair { primary, secondary: given.secondary.map_or(other, str::to_owned) })
}

/// Makes the default resource and its access keys, and sets whether the resource has rooms that no backend made.
/// Replicas that start at once agree. `generated` is the secondary key if there is none; `is_public` knows keys that are
/// no secret.
pub async fn prepare(
    ctx: &Context,
    given: Given<'_>,
    generated: &str,
    is_public: fn(&str) -> bool,
    named_rooms: bool,
) -> Result<ResourceId, PrepareError> {
    let now = ctx.clock.now();
    let guid = Uuid::new_v4();
    ctx.run(async |conn| {
        let resource = store::resources::ensure(conn, DEFAULT_RESOURCE, guid, now).await?;
        let decide = |stored| keep(stored, &given, generated, is_public);
        if let Err(refused) = store::access_keys::settle(conn, resource, decide).await? {
            return Ok(Err(refused));
        }
        store::resources::set_named_rooms(conn, resource, named_rooms).await?;
        Ok(Ok(resource))
    })
    .await?
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const STORED: Option<(&str, &str)> = Some(("old", "other"));

    #[rstest]
    #[case::first_start(None, "new", None, false, Some(("new", "made")))]
    #[case::first_start_with_both(None, "new", Some("next"), false, Some(("new", "next")))]
    #[case::the_same(STORED, "old", None, false, STORED)]
    #[case::the_secondary_as_primary(STORED, "other", None, false, STORED)]
    #[case::changed_places(STORED, "other", Some("old"), false, STORED)]
    #[case::another(STORED, "new", None, false, None)]
    #[case::another_secondary(STORED, "old", Some("new"), false, None)]
    #[case::replaced(STORED, "new", None, true, Some(("new", "other")))]
    #[case::secondary_replaced(STORED, "old", Some("new"), true, Some(("old", "new")))]
    #[case::secondary_made_primary(STORED, "other", None, true, Some(("other", "old")))]
    #[case::public_replaced(Some(("public", "other")), "new", None, false, Some(("new", "other")))]
    #[case::public_over_a_secret(STORED, "public", None, false, None)]
    fn stored_keys_are_replaced_only_if_that_is_asked_for(
        #[case] stored: Option<(&str, &str)>,
        #[case] primary: &str,
        #[case] secondary: Option<&str>,
        #[case] replaces: bool,
        #[case] wanted: Option<(&str, &str)>,
    ) {
        let pair = |(primary, secondary): (&str, &str)| Pair { primary: primary.into(), secondary: secondary.into() };
        let kept = keep(stored.map(pair), &Given { primary, secondary, replaces }, "made", |key| key == "public");
        assert_eq!(kept.ok(), wanted.map(pair));
    }
}
