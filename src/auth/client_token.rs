//! Tokens that clients of live rooms come with (ably-chat.md, section 2.2).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::keyring::AccessKey;
use super::keys::Keys;
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
    User { id: RawId, user: Uuid, issued_at: DateTime<Utc> },
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not a JWT that names its key (kid)")]
    Malformed,
    #[error("the token names a key (kid) that this service does not have")]
    UnknownKey,
    #[error("the token is not signed with the key that it names, in the key's algorithm")]
    Signature,
    #[error("the token lacks a claim, or has one that is not readable: {0}")]
    Claims(&'static str),
    #[error("the token has expired")]
    Expired,
}

const CAPABILITY: &str = "x-ably-capability";
const CLIENT_ID: &str = "x-ably-clientId";
const ROOM_CLAIM: &str = "ably.room.";

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(rename = "iatMs")]
    iat_ms: Option<i64>,
    skypeid: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// Reads a token by the key that it names; the key decides the algorithm.
///
/// # Errors
/// `Expired` only for a token that is good otherwise.
pub fn verify(keys: &Keys, token: &str, now: DateTime<Utc>) -> Result<ClientToken, TokenError> {
    let kid = jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid).ok_or(TokenError::Malformed)?;
    let read = if let Some(key) = keys.access.find(&kid) {
        let secret = DecodingKey::from_secret(key.text.expose_secret().as_bytes());
        of_client(key.resource, decode(token, &secret, Algorithm::HS256)?)?
    } else if let Some(signer) = keys.signers.iter().find(|signer| signer.kid() == Some(&*kid)) {
        let public = DecodingKey::from_jwk(signer.public()).map_err(|_| TokenError::UnknownKey)?;
        of_user(signer.resource(), decode(token, &public, Algorithm::RS256)?)?
    } else {
        return Err(TokenError::UnknownKey);
    };
    if read.expires_at <= now { Err(TokenError::Expired) } else { Ok(read) }
}

fn decode(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, TokenError> {
    let mut rules = Validation::new(algorithm);
    rules.validate_exp = false; // by our own clock, later
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    let read = jsonwebtoken::decode::<Claims>(token, key, &rules);
    read.map(|read| read.claims).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::Json(_) => TokenError::Claims("exp"),
        _ => TokenError::Signature,
    })
}

fn of_client(resource: ResourceId, mut claims: Claims) -> Result<ClientToken, TokenError> {
    let mut text = |name: &'static str| match claims.rest.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::Claims(name)),
    };
    let (capability, client_id) = (text(CAPABILITY)?, text(CLIENT_ID)?);
    let of_room = |(name, value): (String, Value)| {
        let room = name.strip_prefix(ROOM_CLAIM)?.to_owned();
        Some((room, value.as_str()?.to_owned()))
    };
    let expires_at = instant(claims.exp)?;
    let claims = claims.rest.into_iter().filter_map(of_room).collect();
    Ok(ClientToken { resource, holder: Holder::Client { client_id, capability, claims }, expires_at })
}

fn of_user(resource: ResourceId, claims: Claims) -> Result<ClientToken, TokenError> {
    let id = claims.skypeid.and_then(|id| format!("8:{id}").parse::<RawId>().ok());
    let id = id.ok_or(TokenError::Claims("skypeid"))?;
    let user = id.guids().filter(|(owner, _)| *owner == resource).map(|(_, user)| user);
    let user = user.ok_or(TokenError::Claims("skypeid"))?;
    let issued_at = claims.iat_ms.and_then(DateTime::from_timestamp_millis).ok_or(TokenError::Claims("iatMs"))?;
    Ok(ClientToken { resource, holder: Holder::User { id, user, issued_at }, expires_at: instant(claims.exp)? })
}

fn instant(seconds: f64) -> Result<DateTime<Utc>, TokenError> {
    let millis = seconds * 1000.0;
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates, and the date is checked")]
    let at = millis.is_finite().then(|| DateTime::from_timestamp_millis(millis as i64)).flatten();
    at.ok_or(TokenError::Claims("exp"))
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
