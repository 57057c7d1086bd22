//! Pages of a list: the token that a next page is asked for with (acs-rooms.md, section 6).

use actix_web::HttpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::auth::Caller;
use super::error::ApiError;
use super::host::forwarded_scheme;
use crate::domain::resource::ResourceId;
use crate::domain::room_id::RoomId;

/// How many a page holds.
pub const SIZE: u16 = 30;
const POSITION: usize = size_of::<i64>();
const CHECK: usize = 8;

/// Where the page that a request asks for begins; `None` for the first.
///
/// # Errors
/// `PageToken` for a token that was not given to this resource.
pub fn position(req: &HttpRequest, resource: ResourceId) -> Result<Option<RoomId>, ApiError> {
    let token = form_urlencoded::parse(req.query_string().as_bytes()).find(|(name, _)| name == "nextLink");
    match token {
        None => Ok(None),
        Some((_, token)) => read(&token, resource).map(Some).ok_or(ApiError::PageToken),
    }
}

/// The link to the page after `last`: absolute, to where the client called us, since that is what it signs.
/// Behind a proxy the scheme is the one that the proxy was called by.
pub fn next_link(req: &HttpRequest, caller: &Caller, last: RoomId) -> String {
    let forwarded = forwarded_scheme(req);
    let scheme = match forwarded.as_deref() {
        Some(scheme @ ("http" | "https")) => scheme,
        _ if crate::http::is_tls(req) => "https",
        _ => "http",
    };
    let (authority, path, token) = (&caller.authority, req.match_info().as_str(), token(caller.resource, last));
    let relative = format!("{path}?nextLink={token}&api-version=2025-03-13");
    if authority.is_empty() { relative } else { format!("{scheme}://{authority}{relative}") }
}

/// Letters, digits, `_` and `-` only: every client writes those alike, and so signs them alike.
fn token(resource: ResourceId, last: RoomId) -> String {
    let position = last.as_i64().to_be_bytes();
    URL_SAFE_NO_PAD.encode([position, check(resource, position)].concat())
}

fn read(token: &str, resource: ResourceId) -> Option<RoomId> {
    let bytes: [u8; POSITION + CHECK] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
    let position: [u8; POSITION] = bytes[..POSITION].try_into().ok()?;
    (bytes[POSITION..] == check(resource, position)).then(|| RoomId::from_i64(i64::from_be_bytes(position)))
}

/// Tells a token of this resource from another's or from none. No secret: a position says nothing by itself.
fn check(resource: ResourceId, position: [u8; POSITION]) -> [u8; CHECK] {
    let digest = Sha256::new().chain_update(resource.as_uuid().as_bytes()).chain_update(position).finalize();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn a_token_is_plain_and_is_read_back_by_its_own_resource_only(id: i64, ours: u128, theirs: u128) {
            prop_assume!(ours != theirs);
            let [ours, theirs] = [ours, theirs].map(|n| ResourceId::from(Uuid::from_u128(n)));
            let made = token(ours, RoomId::from_i64(id));
            prop_assert!(made.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            prop_assert_eq!(read(&made, ours), Some(RoomId::from_i64(id)));
            prop_assert_eq!(read(&made, theirs), None);
        }

        #[test]
        fn no_token_makes_it_panic(text in "\\PC{0,40}") {
            let _ = read(&text, Uuid::nil().into());
        }
    }
}
