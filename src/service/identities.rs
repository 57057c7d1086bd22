//! Making users, and what has to be known to give them tokens.

use uuid::Uuid;

use super::{Context, ServiceError};
use crate::domain::raw_id::RawId;
use crate::domain::resource::ResourceId;
use crate::store;

/// Makes a user. Its guid is random but for its first group, as the service that clients know makes them.
pub async fn create(ctx: &Context, resource: ResourceId) -> Result<RawId, ServiceError> {
    let user = user_guid();
    let now = ctx.clock.now();
    ctx.run(async |conn| store::identities::insert(conn, resource, user, now).await).await?;
    Ok(RawId::new(resource, user))
}

/// Checks that a user is this resource's own and not deleted.
///
/// # Errors
/// `IdentityNotOwned`, also for a user that was never made.
pub async fn owned(ctx: &Context, resource: ResourceId, id: &RawId) -> Result<Uuid, ServiceError> {
    let (owner, user) = id.guids().ok_or(ServiceError::IdentityNotOwned)?;
    if owner != resource {
        return Err(ServiceError::IdentityNotOwned);
    }
    let there = ctx.run(async |conn| store::identities::exists(conn, resource, user).await).await?;
    if there { Ok(user) } else { Err(ServiceError::IdentityNotOwned) }
}

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
