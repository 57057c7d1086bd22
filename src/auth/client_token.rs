//! Tokens that clients of live rooms come with (ably-chat.md, section 2.2; docs/credentials.md).

mod claims;
mod header;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::Mac as _;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use uuid::Uuid;

use super::keyring::AccessKey;
use super::keys::Keys;
use super::members::Members;
use crate::domain::issue::Issue as Issued;
use crate::domain::raw_id::RawId;
use crate::domain::resource::ResourceId;

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientToken {
    pub resource: ResourceId,
    pub holder: Holder,
    pub expires_at: DateTime<Utc>,
}

/// Who holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Whom the holder of an access key gave it to.
    Client {
        /// `None` is nobody, `*` is anyone.
        client_id: Option<String>,
        /// As it is written; `None` is all that the key may.
        capability: Option<String>,
        /// What the token says of its holder, by room.
        claims: BTreeMap<String, String>,
    },
    /// A user of the Identity API; whether the token still stands is for the database to say.
    User { id: RawId, user: Uuid, issue: Issued },
}

/// Why a token is not taken. The texts are for clients, and hold no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error(
        "the token is not a JWT: write two JSON objects, each name in them once, and a signature, in base64url with dots between"
    )]
    Malformed,
    #[error("the token's header parameter {name} must be {wanted}")]
    Header { name: &'static str, wanted: &'static str },
    #[error("the token names a key (kid) that this service does not have: check the key's name")]
    UnknownKey,
    #[error("the token is not signed with the key that it names (kid): check the key's secret")]
    Signature,
    #[error("the token's claim {name} must be {wanted}")]
    Claim { name: &'static str, wanted: &'static str },
    #[error(
        "the token is for another service: its claim aud must be left out, or name the key (such as dev.primary), the part of it before the dot, or the resource's id"
    )]
    Audience,
    #[error("the token is not good yet (nbf): wait, or check the clock of the machine that made it")]
    NotYet,
    #[error("the token's scopes do not include `chat`, which live rooms need: issue one with that scope")]
    Scope,
}

impl ClientToken {
    /// When it ends, if that is still to come.
    ///
    /// This is asked last: a client is told of the end only if the token is good otherwise.
    pub fn expires_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (now < self.expires_at).then_some(self.expires_at)
    }
}

/// Reads a token by the key that it names; the key decides the algorithm.
///
/// # Errors
/// It is none of this service, or not for live rooms. [`ClientToken::expires_after`] says whether it has ended.
pub fn verify(keys: &Keys, token: &str, now: DateTime<Utc>) -> Result<ClientToken, TokenError> {
    let mut parts = token.split('.');
    let (Some(header), Some(body), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    let signed = &token[..header.len() + 1 + body.len()];
    let header = header::read(&Members::in_part(header).ok_or(TokenError::Malformed)?)?;
    // Claims are read once it is known who made them.
    let claims = || Members::in_part(body).ok_or(TokenError::Malformed);
    if let Some(key) = keys.access.find(&header.kid) {
        header.is_for("HS256", "HS256, as the key that it names signs")?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Signature)?;
        key.text_mac.clone().chain_update(signed).verify_slice(&signature).map_err(|_| TokenError::Signature)?;
        claims::of_client(key, claims()?, now)
    } else if let Some(signer) = keys.signers.iter().find(|signer| signer.kid() == Some(&*header.kid)) {
        header.is_for("RS256", "RS256, as the key that it names signs")?;
        let public = DecodingKey::from_jwk(signer.public()).map_err(|_| TokenError::UnknownKey)?;
        let is_signed = jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &public, Algorithm::RS256);
        if !is_signed.unwrap_or(false) {
            return Err(TokenError::Signature);
        }
        claims::of_user(signer.resource(), &claims()?, now)
    } else {
        Err(TokenError::UnknownKey)
    }
}

/// What a token that is made for a token request says.
#[derive(Debug, Clone, Copy)]
pub struct Issue<'a> {
    pub client_id: Option<&'a str>,
    /// As it is written.
    pub capability: &'a str,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// A token, signed with an access key.
///
/// # Errors
/// It can't be signed; it never was seen.
pub fn issue(key: &AccessKey, token: Issue<'_>) -> Result<String, jsonwebtoken::errors::Error> {
    #[derive(Serialize)]
    struct New<'a> {
        iat: i64,
        exp: f64,
        #[serde(rename = "x-ably-capability")]
        capability: &'a str,
        #[serde(rename = "x-ably-clientId", skip_serializing_if = "Option::is_none")]
        client_id: Option<&'a str>,
    }
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(key.name.clone());
    let Issue { client_id, capability, issued_at, expires_at } = token;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium fit")]
    let exp = expires_at.timestamp_millis() as f64 / 1000.0;
    let claims = New { iat: issued_at.timestamp(), exp, capability, client_id };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(key.text.expose_secret().as_bytes()))
}
