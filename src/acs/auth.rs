//! Who calls: the version, the signature and the body of a request, before its handler (acs-rooms.md, 7 and 8).

use std::future::{Ready, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{AUTHORIZATION, DATE, HOST, HeaderName};
use actix_web::middleware::Next;
use actix_web::web::ThinData;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use chrono::{DateTime, Utc};

use super::error::{ApiError, Fault};
use super::explain::{Explanation, Refused};
use super::host::Ports;
use super::version::{self, Version};
use super::{Acs, Shared, basic, host};
use crate::auth::AuthError;
use crate::auth::hmac::{self, DateHeader, Signed};
use crate::domain::resource::ResourceId;
use crate::http::budget::{BodyBudget, Taken};
use crate::http::{State, body};

const CONTENT_HASH: HeaderName = HeaderName::from_static("x-ms-content-sha256");

/// A request that was signed with one of a resource's keys.
#[derive(Debug, Clone)]
pub struct Caller {
    pub resource: ResourceId,
    pub version: Version,
    /// By what it called us, with the prefix of its paths: links lead there. Empty where links have to be relative.
    pub authority: String,
    /// SHA-256 of the body.
    pub body_digest: [u8; 32],
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        ready(req.extensions().get().cloned().ok_or(ApiError::Fault(Fault::NotPutTogether)))
    }
}

/// Lets a request through to its handler once it is known who sent it.
pub async fn authenticate(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match caller(&mut req).await {
        Ok((caller, taken)) => {
            req.extensions_mut().insert(caller);
            let answered = next.call(req).await;
            drop(taken); // the handler is done with the body
            answered.map(ServiceResponse::map_into_left_body)
        }
        // As an answer, not as an error: what is around this adds its headers.
        Err(refused) => {
            let (req, _) = req.into_parts();
            let is_unread = body::is_announced(&req);
            let mut response = ServiceResponse::from_err(refused, req);
            if is_unread {
                // Else the rest of the body would have to be read to find the next request behind it.
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            Ok(response.map_into_right_body())
        }
    }
}

/// The order keeps strangers out of memory: the body is read for those alone who have signed its hash.
async fn caller(req: &mut ServiceRequest) -> Result<(Caller, Taken), ApiError> {
    let version = version::read(req.request())?;
    body::check_head(req.request(), body::LIMIT)?;
    let (state, acs) = shared(req.request())?;
    let (bodies, now) = (state.bodies.clone(), state.ctx.clock.now());
    let Verified { resource, authority, is_signed } = match verify(req.request(), &acs.0, now) {
        Ok(verified) => verified,
        Err(reason) => return Err(refuse(req, &acs, reason, &bodies, now).await),
    };
    let (body, taken) = body::read(req, &bodies).await?;
    let body_digest = hmac::digest(&body);
    let checked = if is_signed { verify_content(req.request(), &body_digest) } else { Ok(()) };
    checked.map_err(|reason| {
        let explanation = acs.0.explain_auth.then(|| explain(req.request(), &acs.0, &reason, now));
        ApiError::Denied { reason, explanation }
    })?;
    Ok((Caller { resource, version, authority, body_digest }, taken))
}

fn shared(req: &HttpRequest) -> Result<(&State, Acs), Fault> {
    match (req.app_data::<ThinData<State>>(), req.app_data::<ThinData<Acs>>()) {
        (Some(ThinData(state)), Some(ThinData(acs))) => Ok((state, acs.clone())),
        _ => Err(Fault::NotPutTogether),
    }
}

/// A request whose caller is known and whose body has not been read yet.
struct Verified {
    resource: ResourceId,
    /// As in [`Caller`].
    authority: String,
    /// Whether the hash of its body was signed; else the key itself came.
    is_signed: bool,
}

/// Whose key signed the request, with the hash of the body that its header names, or came with it; and the host it was
/// sent to.
fn verify(req: &HttpRequest, acs: &Shared, now: DateTime<Utc>) -> Result<Verified, AuthError> {
    let (keys, host) = (acs.keys.current(), authority(req));
    if let Some(credentials) = basic::credentials(req) {
        let key = basic::verify(req, credentials, &keys.access, acs.basic_auth)?;
        let authority = if lost_its_port(req, host) { "" } else { host };
        return Ok(Verified { resource: key.resource, authority: authority.to_owned(), is_signed: false });
    }
    let signed = signed(req)?;
    let forms = host::forms(target(req), host, ports(req), &acs.public_hosts);
    let (key, signed_host) = hmac::verify(&keys.access, signed, forms)?;
    hmac::verify_date(signed.date, now, acs.clock_skew)?;
    // The host on the wire, unless a proxy wrote it anew.
    let public = acs.public_hosts.iter().find(|public| public.is_signed_as(&signed_host));
    let authority = match public {
        Some(public) => public.as_str(),
        None if lost_its_port(req, host) => "",
        None => host,
    };
    Ok(Verified { resource: key.resource, authority: authority.to_owned(), is_signed: true })
}

/// Whether a host has no port although the request came, by no proxy that says so, to a port that is not the scheme's own:
/// a link to it would lead elsewhere. The client may have left it out, or a port may be mapped.
fn lost_its_port(req: &HttpRequest, host: &str) -> bool {
    let Ports { of_scheme, of_listener } = ports(req);
    host::without_port(host).is_none()
        && of_listener.is_some_and(|port| port != of_scheme)
        && !req.headers().contains_key("x-forwarded-proto")
}

fn verify_content(req: &HttpRequest, body_digest: &[u8; 32]) -> Result<(), AuthError> {
    hmac::verify_content(header(req, CONTENT_HASH, "x-ms-content-sha256")?, body_digest)
}

/// The refusal of a request whose body was not read. Where a developer is told why, it is read after all, within the
/// same limits: the body may not be the one whose hash was signed.
async fn refuse(
    req: &mut ServiceRequest,
    acs: &Acs,
    reason: AuthError,
    bodies: &BodyBudget,
    now: DateTime<Utc>,
) -> ApiError {
    if !acs.0.explain_auth {
        return ApiError::Denied { reason, explanation: None };
    }
    let mut found = None;
    if reason == AuthError::Signature
        && let Ok((body, _taken)) = body::read(req, bodies).await
    {
        found = verify_content(req.request(), &hmac::digest(&body)).err();
    }
    let explanation = explain(req.request(), &acs.0, found.as_ref().unwrap_or(&reason), now);
    ApiError::Denied { reason, explanation: Some(explanation) }
}

fn explain(req: &HttpRequest, acs: &Shared, reason: &AuthError, now: DateTime<Utc>) -> Box<Explanation> {
    let keys = acs.keys.current();
    let refused = Refused {
        req,
        keyring: &keys.access,
        signed: signed(req).ok(),
        target: target(req),
        host: authority(req),
        ports: ports(req),
        public_hosts: &acs.public_hosts,
    };
    Box::new(refused.explain(reason, now))
}

/// What of the signed parts stands in headers of its own.
fn signed(req: &HttpRequest) -> Result<Signed<'_>, AuthError> {
    let (date_header, signature) = hmac::read_authorization(header(req, AUTHORIZATION, "Authorization")?)?;
    let date = match date_header {
        DateHeader::XMsDate => header(req, HeaderName::from_static("x-ms-date"), "x-ms-date")?,
        DateHeader::Date => header(req, DATE, "Date")?,
    };
    let content_hash = header(req, CONTENT_HASH, "x-ms-content-sha256")?;
    Ok(Signed { verb: req.method().as_str(), date, content_hash, signature })
}

fn header<'a>(req: &'a HttpRequest, name: HeaderName, shown: &'static str) -> Result<&'a str, AuthError> {
    // Of two, a proxy may have looked at the other.
    let mut values = req.headers().get_all(name);
    let only = values.next().filter(|_| values.next().is_none());
    only.and_then(|value| value.to_str().ok()).ok_or(AuthError::MissingHeader(shown))
}

/// The path and the query, as they came.
fn target(req: &HttpRequest) -> &str {
    req.uri().path_and_query().map_or("/", |target| target.as_str())
}

fn ports(req: &HttpRequest) -> Ports {
    let of_scheme = if crate::http::is_tls(req) { 443 } else { 80 };
    Ports { of_scheme, of_listener: crate::http::local_address(req).map(|address| address.port()) }
}

/// The host that a request was sent to, as it was spelled; empty if it is not readable. A request to a
/// proxy has it in its target.
fn authority(req: &HttpRequest) -> &str {
    let host = match req.headers().get(HOST) {
        Some(host) => host.to_str().ok(),
        None => req.uri().authority().map(|authority| authority.as_str()),
    };
    host.unwrap_or_default()
}
