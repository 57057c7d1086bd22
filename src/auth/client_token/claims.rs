//! The claims of a token whose signature is good (RFC 7519, section 4.1; ably-chat.md, section 2.2).

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{ClientToken, Holder, TokenError};
use crate::auth::keyring::AccessKey;
use crate::auth::members::Members;
use crate::domain::identity::TokenScope;
use crate::domain::issue::Issue;
use crate::domain::raw_id::RawId;
use crate::domain::resource::ResourceId;

const CAPABILITY: &str = "x-ably-capability";
const CLIENT_ID: &str = "x-ably-clientId";
const ROOM_CLAIM: &str = "ably.room.";

/// How far the clock of a machine that makes tokens may be ahead of ours, for `nbf`.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);
/// The end of the year 9999: RFC 3339, and what comes after us in a client, count no further.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The claims of a token that the holder of an access key made.
pub fn of_client(key: &AccessKey, claims: Members, now: DateTime<Utc>) -> Result<ClientToken, TokenError> {
    let app = key.name.split_once('.').map_or(&*key.name, |(app, _)| app);
    let expires_at = registered(&claims, &[&key.name, app, &key.resource.to_string()], now)?;
    let wanted = "text that is JSON, such as {\"lobby\":[\"subscribe\"]}";
    let capability = private(&claims, CAPABILITY, wanted)?;
    let wanted = "text that is not empty, or left out";
    let client_id = private(&claims, CLIENT_ID, wanted)?;
    if client_id.as_deref() == Some("") {
        return Err(TokenError::Claim { name: CLIENT_ID, wanted });
    }
    let of_room = |(name, value): (String, Value)| {
        let room = name.strip_prefix(ROOM_CLAIM)?.to_owned();
        match value {
            Value::Null => None,
            Value::String(text) => Some(Ok((room, text))),
            _ => Some(Err(TokenError::Claim { name: "ably.room.<room>", wanted: "text" })),
        }
    };
    let rooms = claims.into_iter().filter_map(of_room).collect::<Result<_, _>>()?;
    let holder = Holder::Client { client_id, capability, claims: rooms };
    Ok(ClientToken { resource: key.resource, holder, expires_at })
}

/// What the claim of that name is.
const REVOCATIONS: &str = "how often the user's tokens were revoked before, a whole number, or left out";

/// The claims of a token of the Identity API.
pub fn of_user(resource: ResourceId, claims: &Members, now: DateTime<Utc>) -> Result<ClientToken, TokenError> {
    let own = resource.to_string();
    let expires_at = registered(claims, &[&own], now)?;
    let (name, wanted) = ("resourceId", "the id of the resource that the user belongs to, or left out");
    if optional_text(claims, name, wanted)?.is_some_and(|named| named != own) {
        return Err(TokenError::Claim { name, wanted });
    }
    let (name, wanted) = ("skypeid", "the id of a user of the resource whose key signs");
    let id = optional_text(claims, name, wanted)?.and_then(|id| format!("8:{id}").parse::<RawId>().ok());
    let id = id.ok_or(TokenError::Claim { name, wanted })?;
    let user = id.guids().filter(|(owner, _)| *owner == resource).map(|(_, user)| user);
    let user = user.ok_or(TokenError::Claim { name, wanted })?;
    let issued_at = claims.get("iatMs").and_then(Value::as_i64).and_then(DateTime::from_timestamp_millis);
    let wanted = "the time of the issue, in whole milliseconds since 1970";
    let at = issued_at.ok_or(TokenError::Claim { name: "iatMs", wanted })?;
    let revocations = match claims.get("revocations") {
        None => None,
        Some(told) => Some(told.as_i64().ok_or(TokenError::Claim { name: "revocations", wanted: REVOCATIONS })?),
    };
    let issue = Issue { at, revocations };
    // `chat.join` and `chat.join.limited` are less than `chat`, and live rooms have no such lesser way in.
    let scopes = optional_text(claims, "acsScope", "text: scopes with commas between")?.unwrap_or("");
    if !scopes.split(',').any(|scope| scope == TokenScope::Chat.as_str()) {
        return Err(TokenError::Scope);
    }
    Ok(ClientToken { resource, holder: Holder::User { id, user, issue }, expires_at })
}

/// Checks the registered claims, and gives the end. `own` is what this service calls itself.
fn registered(claims: &Members, own: &[&str], now: DateTime<Utc>) -> Result<DateTime<Utc>, TokenError> {
    for name in ["iss", "sub", "jti"] {
        optional_text(claims, name, "text, or left out")?;
    }
    audience(claims, own)?;
    instant(claims, "iat")?;
    if instant(claims, "nbf")?.is_some_and(|from| from > now + LEEWAY) {
        return Err(TokenError::NotYet);
    }
    instant(claims, "exp")?.ok_or(TokenError::Claim { name: "exp", wanted: SECONDS })
}

/// A token that says whom it is for is for nobody else (RFC 7519, section 4.1.3).
fn audience(claims: &Members, own: &[&str]) -> Result<(), TokenError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let named: Option<Vec<String>> = match claims.get("aud") {
        None => return Ok(()),
        Some(Value::Array(named)) => named.iter().map(text).collect(),
        Some(value) => text(value).map(|named| vec![named]),
    };
    let named = named.ok_or(TokenError::Claim { name: "aud", wanted: "text, a list of texts, or left out" })?;
    if named.iter().any(|named| own.contains(&&**named)) { Ok(()) } else { Err(TokenError::Audience) }
}

const SECONDS: &str = "a number: seconds since 1970, before the year 10000";

/// A NumericDate, which may have a fraction (RFC 7519, section 2).
fn instant(claims: &Members, name: &'static str) -> Result<Option<DateTime<Utc>>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| seconds.abs() <= LAST_SECOND);
    #[expect(clippy::cast_possible_truncation, reason = "the seconds are bounded, and so is the fraction that counts")]
    let at = seconds.and_then(|seconds| DateTime::from_timestamp_millis((seconds * 1000.0) as i64));
    at.map(Some).ok_or(TokenError::Claim { name, wanted: SECONDS })
}

fn optional_text<'a>(
    claims: &'a Members,
    name: &'static str,
    wanted: &'static str,
) -> Result<Option<&'a str>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::Claim { name, wanted }),
    }
}

/// A claim of Ably's, which backends write as null when they have none.
fn private(claims: &Members, name: &'static str, wanted: &'static str) -> Result<Option<String>, TokenError> {
    match claims.get(name) {
        Some(Value::Null) => Ok(None),
        _ => Ok(optional_text(claims, name, wanted)?.map(str::to_owned)),
    }
}
