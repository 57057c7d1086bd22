//! `POST /keys/{keyName}/requestToken`: a token for a signed request (ably-chat.md, section 2.3).

mod fields;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use actix_web::http::{ConnectionType, StatusCode};
use actix_web::web::{Payload, ThinData};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::Ably;
use super::capability::Capability;
use super::error::ErrorInfo;
use super::rest;
use crate::auth::client_token::{self, Issue};
use crate::auth::keyring::AccessKey;
use crate::auth::token_request::is_signed;
use crate::http::body::{self, BodyError};
use crate::http::{State, connection};
use fields::Fields;

/// A token with what it is good for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenDetails {
    token: String,
    key_name: String,
    issued: i64,
    expires: i64,
    capability: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

/// The largest request.
const LARGEST: usize = 64 * 1024;
/// How far its timestamp may be from our clock.
const SKEW: TimeDelta = TimeDelta::minutes(2);
/// An hour, in milliseconds.
pub const USUAL_TTL: i64 = 60 * 60 * 1000;
const LONGEST_TTL: i64 = 24 * 60 * 60 * 1000;
/// All that a key may, as it is written.
const EVERYTHING: &str = r#"{"*":["*"]}"#;

/// Nonces of requests that were granted, until no request with one could be in time.
#[derive(Debug, Default)]
pub struct Nonces(Mutex<HashMap<(String, String), DateTime<Utc>>>);

impl Nonces {
    /// True the first time.
    fn take(&self, key: &str, nonce: &str, now: DateTime<Utc>) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() == used.capacity() {
            used.retain(|_, until| *until > now); // only now and then
        }
        used.insert((key.to_owned(), nonce.to_owned()), now + SKEW + SKEW).is_none_or(|until| until <= now)
    }
}

/// The handler.
pub async fn request_token(
    req: HttpRequest,
    ThinData(state): ThinData<State>,
    ThinData(ably): ThinData<Ably>,
    payload: Payload,
) -> HttpResponse {
    let mut is_unread = body::is_announced(&req);
    let outcome = async {
        let name = rest::segment(&req, 1)?;
        body::check_head(&req, LARGEST).map_err(no_body)?;
        let received =
            body::receive(&mut payload.into_inner(), LARGEST, &state.bodies, connection(&req).map(|c| &**c)).await;
        let (body, _taken) = received.map_err(no_body)?;
        is_unread = false;
        let asked = Fields::read(rest::format_of_body(&req), &body)?;
        if asked.key_name != name {
            return Err(ErrorInfo::malformed("the keyName in the body is not that in the path"));
        }
        let keys = ably.keys.current();
        let key = keys.access.find(&name).ok_or_else(ErrorInfo::bad_key)?;
        grant(key, asked, &ably.nonces, state.ctx.clock.now())
    };
    let mut response = rest::answer(&req, StatusCode::CREATED, outcome.await);
    if is_unread {
        // Else the rest of the body would have to be read to find the next request behind it.
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

fn no_body(error: BodyError) -> ErrorInfo {
    match error {
        BodyError::NoMemory => ErrorInfo::unavailable(),
        BodyError::TooLarge | BodyError::TooSlow | BodyError::Broken | BodyError::WebSocket => {
            ErrorInfo::malformed("the body did not arrive, or is larger than 64 KiB")
        }
    }
}

fn grant(key: &AccessKey, asked: Fields, nonces: &Nonces, now: DateTime<Utc>) -> Result<TokenDetails, ErrorInfo> {
    if !is_signed(key, &asked.signed(), &asked.mac) {
        return Err(ErrorInfo::new(40101, 401, "the mac is not the key's over this request"));
    }
    let sent = asked.timestamp.parse().ok().and_then(DateTime::from_timestamp_millis);
    if sent.is_none_or(|sent| (now - sent).abs() > SKEW) {
        return Err(ErrorInfo::new(40104, 401, "the timestamp is more than 2 minutes from this server's clock"));
    }
    let ttl = if asked.ttl.is_empty() { Some(USUAL_TTL) } else { asked.ttl.parse().ok() };
    let ttl = ttl.filter(|ttl| (1..=LONGEST_TTL).contains(ttl));
    let ttl = ttl.ok_or_else(|| ErrorInfo::new(40003, 400, "the ttl is not from 1 ms to 24 hours, in milliseconds"))?;
    let capability = if asked.capability.is_empty() { EVERYTHING.to_owned() } else { asked.capability };
    if Capability::read(&capability)?.is_empty() {
        return Err(ErrorInfo::not_capable("the capability allows nothing"));
    }
    // Last: a request that is refused for another reason can be mended and sent again.
    if !nonces.take(&key.name, &asked.nonce, now) {
        return Err(ErrorInfo::new(40105, 401, "the nonce was used before: make a new request for each token"));
    }
    issue(key, Some(asked.client_id).filter(|id| !id.is_empty()), capability, ttl, now)
}

/// A token that is signed with `key` and good for `ttl` milliseconds.
///
/// # Errors
/// It can't be signed; the log says why.
pub fn issue(
    key: &AccessKey,
    client_id: Option<String>,
    capability: String,
    ttl: i64,
    now: DateTime<Utc>,
) -> Result<TokenDetails, ErrorInfo> {
    let expires = now + TimeDelta::milliseconds(ttl);
    let issue = Issue { client_id: client_id.as_deref(), capability: &capability, issued_at: now, expires_at: expires };
    let token = client_token::issue(key, issue).map_err(|error| {
        tracing::error!(%error, "a token can't be signed");
        ErrorInfo::fault()
    })?;
    Ok(TokenDetails {
        token,
        key_name: key.name.clone(),
        issued: now.timestamp_millis(),
        expires: expires.timestamp_millis(),
        capability,
        client_id,
    })
}
