//! The header of a token (RFC 7515, section 4.1; RFC 7519, section 5).

use serde_json::Value;

use super::TokenError;
use crate::auth::members::Members;

/// What of a header counts. Parameters that bring or name a key of their own (`jku`, `jwk`, `x5u`, `x5c`, `x5t`) are never
/// read: the keys of this service are the only ones.
#[derive(Debug)]
pub struct TokenHeader {
    pub kid: String,
    alg: String,
}

impl TokenHeader {
    /// Checks the algorithm, which the key decides.
    ///
    /// # Errors
    /// The header says another, or none.
    pub fn is_for(&self, algorithm: &str, wanted: &'static str) -> Result<(), TokenError> {
        if self.alg == algorithm { Ok(()) } else { Err(TokenError::Header { name: "alg", wanted }) }
    }
}

/// Reads a header, before its signature is checked.
///
/// # Errors
/// It lacks what it needs, or asks for what this service does not do.
pub fn read(header: &Members) -> Result<TokenHeader, TokenError> {
    // An extension that has to be understood, and is not (RFC 7515, section 4.1.11).
    left_out(header, "crit", "left out: this service knows no extension that is critical")?;
    left_out(header, "enc", "left out: tokens are signed here, not encrypted")?;
    left_out(header, "zip", "left out: tokens are not compressed here")?;
    if optional(header, "typ", "the text JWT, or left out")?.is_some_and(|typ| !is_jwt(typ)) {
        return Err(TokenError::Header { name: "typ", wanted: "the text JWT, or left out" });
    }
    let wanted = "left out: a token inside of a token is not read";
    if optional(header, "cty", wanted)?.is_some_and(is_jwt) {
        return Err(TokenError::Header { name: "cty", wanted });
    }
    let kid = required(header, "kid", "the name of the key that signs, such as dev.primary")?;
    let alg = required(header, "alg", "the text HS256, for a token that is signed with an access key")?;
    Ok(TokenHeader { kid, alg })
}

fn left_out(header: &Members, name: &'static str, wanted: &'static str) -> Result<(), TokenError> {
    if header.has(name) { Err(TokenError::Header { name, wanted }) } else { Ok(()) }
}

fn optional<'a>(header: &'a Members, name: &'static str, wanted: &'static str) -> Result<Option<&'a str>, TokenError> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::Header { name, wanted }),
    }
}

fn required(header: &Members, name: &'static str, wanted: &'static str) -> Result<String, TokenError> {
    optional(header, name, wanted)?.map(str::to_owned).ok_or(TokenError::Header { name, wanted })
}

/// A media type of a JWT, whose `application/` may be left out (RFC 7515, section 4.1.9).
fn is_jwt(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind.strip_prefix("application/").unwrap_or(&kind) == "jwt"
}
