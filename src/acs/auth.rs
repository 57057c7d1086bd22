//! Who calls: the version, the body and the signature of a request, before its handler (acs-rooms.md, 7 and 8).

use std::future::{Ready, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderName};
use actix_web::middleware::Next;
use actix_web::web::ThinData;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use chrono::{DateTime, Utc};

use super::error::{ApiError, Fault};
use super::explain::Refused;
use super::version::{self, Version};
use super::{Acs, PublicHost, Shared, host};
use crate::auth::AuthError;
use crate::auth::hmac::{self, Signed};
use crate::domain::resource::ResourceId;
use crate::http::{State, body};

/// A request that was signed with one of a resource's keys.
#[derive(Debug, Clone)]
pub struct Caller {
    pub resource: ResourceId,
    pub version: Version,
    /// By what it called us, with the prefix of its paths: links lead there.
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
        Ok(caller) => {
            req.extensions_mut().insert(caller);
            next.call(req).await.map(ServiceResponse::map_into_left_body)
        }
        // As an answer, not as an error: what is around this adds its headers.
        Err(refused) => {
            let (req, _) = req.into_parts();
            Ok(ServiceResponse::from_err(refused, req).map_into_right_body())
        }
    }
}

async fn caller(req: &mut ServiceRequest) -> Result<Caller, ApiError> {
    let version = version::read(req.request())?;
    let body = body::read(req).await?;
    let body_digest = hmac::digest(&body);
    let (state, acs) = shared(req.request())?;
    let (resource, authority) = verify(req.request(), &body_digest, acs, state.ctx.clock.now())?;
    Ok(Caller { resource, version, authority, body_digest })
}

fn shared(req: &HttpRequest) -> Result<(&State, &Shared), Fault> {
    match (req.app_data::<ThinData<State>>(), req.app_data::<ThinData<Acs>>()) {
        (Some(ThinData(state)), Some(ThinData(acs))) => Ok((state, &acs.0)),
        _ => Err(Fault::NotPutTogether),
    }
}

fn verify(
    req: &HttpRequest,
    body_digest: &[u8; 32],
    acs: &Shared,
    now: DateTime<Utc>,
) -> Result<(ResourceId, String), ApiError> {
    let keys = acs.keys.current();
    let target = req.uri().path_and_query().map_or("/", |target| target.as_str());
    let host = authority(req).unwrap_or("");
    let default_port = if crate::http::is_tls(req) { 443 } else { 80 };
    let signed = signed(req);
    let verified = signed.clone().and_then(|signed| {
        hmac::verify_content(signed.content_hash, body_digest)?;
        let forms = host::forms(target, host, default_port, &acs.public_hosts);
        let (key, signed_host) = hmac::verify(&keys.access, signed, forms)?;
        hmac::verify_date(signed.date, now, acs.clock_skew)?;
        // The host on the wire, unless a proxy wrote it anew.
        let public = acs.public_hosts.iter().find(|public| public.is_signed_as(&signed_host));
        Ok((key.resource, public.map_or(host, PublicHost::as_str).to_owned()))
    });
    verified.map_err(|reason| {
        let explanation = acs.explain_auth.then(|| {
            let (keyring, public_hosts) = (&keys.access, acs.public_hosts.as_slice());
            let refused = Refused { req, keyring, signed: signed.ok(), target, host, default_port, public_hosts };
            Box::new(refused.explain(&reason, now))
        });
        ApiError::Denied { reason, explanation }
    })
}

/// What of the signed parts stands in headers of its own.
fn signed(req: &HttpRequest) -> Result<Signed<'_>, AuthError> {
    let signature = hmac::read_authorization(header(req, AUTHORIZATION, "Authorization")?)?;
    let date = header(req, HeaderName::from_static("x-ms-date"), "x-ms-date")?;
    let content_hash = header(req, HeaderName::from_static("x-ms-content-sha256"), "x-ms-content-sha256")?;
    Ok(Signed { verb: req.method().as_str(), date, content_hash, signature })
}

fn header<'a>(req: &'a HttpRequest, name: HeaderName, shown: &'static str) -> Result<&'a str, AuthError> {
    // Of two, a proxy may have looked at the other.
    let mut values = req.headers().get_all(name);
    let only = values.next().filter(|_| values.next().is_none());
    only.and_then(|value| value.to_str().ok()).ok_or(AuthError::MissingHeader(shown))
}

/// The host that a request was sent to, as it was spelled: a request to a proxy has it in its target.
fn authority(req: &HttpRequest) -> Option<&str> {
    match req.headers().get(HOST) {
        Some(host) => host.to_str().ok(),
        None => req.uri().authority().map(|authority| authority.as_str()),
    }
}
