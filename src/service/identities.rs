//! Users, and whether their tokens stand.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use uuid::Uuid;

use super::{Context, ServiceError};
use crate::domain::issue::{Issue, Standing};
use crate::domain::raw_id::RawId;
use crate::domain::resource::ResourceId;
use crate::store;

/// A user for whom a token can be issued now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUser {
    pub user: Uuid,
    /// What the token is to say of its issue, in whole milliseconds: now, or the first instant after
    /// a revocation that has just been.
    pub issued_at: DateTime<Utc>,
    /// How often the user's tokens were revoked before.
    pub revocations: i64,
}

/// Makes a user. Its guid is random but for its first group, as the service that clients know makes them.
pub async fn create(ctx: &Context, resource: ResourceId) -> Result<(RawId, TokenUser), ServiceError> {
    let user = user_guid();
    let now = ctx.clock.now();
    let issued_at = now.trunc_subsecs(MILLIS);
    ctx.write(async |conn| store::identities::insert(conn, resource, user, now, issued_at).await).await?;
    Ok((RawId::new(resource, user), TokenUser { user, issued_at, revocations: 0 }))
}

/// Looks up a user for whom a token is to be issued.
///
/// # Errors
/// `IdentityNotOwned`, also for a user that was never made, or was deleted.
pub async fn token_user(ctx: &Context, resource: ResourceId, id: &RawId) -> Result<TokenUser, ServiceError> {
    let user = own(resource, id)?;
    let standing = ctx.run(async |conn| store::identities::standing(conn, resource, user).await).await?;
    let Standing { revocations, valid_from } = standing.ok_or(ServiceError::IdentityNotOwned)?;
    Ok(TokenUser { user, issued_at: ctx.clock.now().trunc_subsecs(MILLIS).max(valid_from), revocations })
}

/// Makes every token of a user void that was issued until now; later ones are good.
///
/// # Errors
/// As for [`token_user`].
pub async fn revoke_tokens(ctx: &Context, resource: ResourceId, id: &RawId) -> Result<(), ServiceError> {
    let user = own(resource, id)?;
    // Tokens say the millisecond of their issue, so it is the next one from which they are good.
    let from = ctx.clock.now().trunc_subsecs(MILLIS) + TimeDelta::milliseconds(1);
    let there = ctx.write(async |conn| store::identities::revoke_tokens(conn, resource, user, from).await).await?;
    if there { Ok(()) } else { Err(ServiceError::IdentityNotOwned) }
}

/// Deletes a user, which makes its tokens void. Again, it changes nothing. Rosters keep the raw id:
/// they never asked whether there is such a user.
///
/// # Errors
/// `IdentityNotOwned` for a user that was never made.
pub async fn delete(ctx: &Context, resource: ResourceId, id: &RawId) -> Result<(), ServiceError> {
    let user = own(resource, id)?;
    let now = ctx.clock.now();
    let there = ctx.write(async |conn| store::identities::delete(conn, resource, user, now).await).await?;
    if there { Ok(()) } else { Err(ServiceError::IdentityNotOwned) }
}

/// Whether a token that a user was issued still stands: neither revoked, nor its user deleted. Its signature and its end
/// are for whoever reads it to check.
pub async fn token_stands(ctx: &Context, resource: ResourceId, user: Uuid, issue: Issue) -> Result<bool, ServiceError> {
    let standing = ctx.run(async |conn| store::identities::standing(conn, resource, user).await).await?;
    Ok(standing.is_some_and(|standing| standing.allows(issue)))
}

fn own(resource: ResourceId, id: &RawId) -> Result<Uuid, ServiceError> {
    match id.guids() {
        Some((owner, user)) if owner == resource => Ok(user),
        _ => Err(ServiceError::IdentityNotOwned),
    }
}

/// Digits of a second that tokens keep.
const MILLIS: u16 = 3;

/// `0000002x-` and random digits (acs-rooms.md, section 11).
fn user_guid() -> Uuid {
    const FIRST_GROUP: u128 = 0x0000_0020 << 96;
    const KEPT: u128 = (0xf << 96) | (u128::MAX >> 32);
    Uuid::from_u128(FIRST_GROUP | (Uuid::new_v4().as_u128() & KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_guid_begins_as_the_real_ones_do() {
        let guid = user_guid().to_string();
        assert!(guid.starts_with("0000002"), "{guid}");
        assert_ne!(guid, user_guid().to_string());
    }
}
