//! The access key itself in a request, as `curl --user primary:$KEY` sends it (HTTP Basic, RFC 7617): for people, and
//! programs without a client that signs. It is accepted over TLS or from this machine only, and never asked for.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::host::forwarded_scheme;
use crate::auth::AuthError;
use crate::auth::keyring::{AccessKey, Keyring};

/// The credentials that a request has, if they are of this scheme: in base64.
pub fn credentials(req: &HttpRequest) -> Option<&str> {
    let mut values = req.headers().get_all(AUTHORIZATION);
    let only = values.next().filter(|_| values.next().is_none())?;
    let (scheme, credentials) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Basic").then_some(credentials.trim())
}

/// The key whose name and text the credentials have. Each comparison takes the same time, whatever it finds.
///
/// # Errors
/// The scheme is off, the way is open to others, or no key fits.
pub fn verify<'k>(
    req: &HttpRequest,
    credentials: &str,
    keys: &'k Keyring,
    is_on: bool,
) -> Result<&'k AccessKey, AuthError> {
    if !is_on {
        return Err(AuthError::BasicIsOff);
    }
    if !is_private(req) {
        return Err(AuthError::BasicInTheOpen);
    }
    let bytes = STANDARD.decode(credentials).map_err(|_| AuthError::BasicKey)?;
    let text = String::from_utf8(bytes).map_err(|_| AuthError::BasicKey)?;
    let (name, key) = text.split_once(':').ok_or(AuthError::BasicKey)?;
    let is_called = |known: &&AccessKey| known.name == name || known.name.rsplit('.').next() == Some(name);
    keys.iter().filter(is_called).find(|known| known.signs_as(key)).ok_or(AuthError::BasicKey)
}

/// Over TLS, or from this machine, unless a proxy here says that it was called without TLS.
fn is_private(req: &HttpRequest) -> bool {
    let peer = crate::http::connection(req).and_then(|connection| connection.peer());
    let is_here = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    crate::http::is_tls(req) || is_here && forwarded_scheme(req).is_none_or(|scheme| scheme == "https")
}
