//! The headers that every answer carries (acs-rooms.md, section 3), and those a browser is told of.

use actix_web::body::MessageBody;
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rand::RngExt as _;
use tracing_actix_web::RequestId;

use super::version::Api;

/// What a browser may send besides the safelisted headers (section 8).
pub const ALLOWED_HEADERS: [&str; 9] = [
    "authorization",
    "content-type",
    "accept",
    "x-ms-date",
    "x-ms-content-sha256",
    "x-ms-client-request-id",
    "x-ms-useragent",
    "repeatability-request-id",
    "repeatability-first-sent",
];

/// What a browser's script may read.
pub const EXPOSED_HEADERS: [&str; 8] = [
    "x-ms-error-code",
    "x-ms-request-id",
    "x-ms-client-request-id",
    "api-supported-versions",
    "ms-cv",
    "location",
    "repeatability-result",
    "retry-after",
];

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// Adds what every answer carries.
pub async fn add(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let common = Common::of(&req);
    let mut response = next.call(req).await?;
    common.add_to(response.headers_mut());
    Ok(response)
}

/// What of a request the answer's headers are made of.
pub struct Common {
    api: Api,
    client_request_id: Option<HeaderValue>,
    request_id: Option<String>,
}

impl Common {
    /// Read before the request is handled.
    pub fn of(req: &ServiceRequest) -> Self {
        let request_id = req.extensions().get::<RequestId>().map(ToString::to_string);
        Self::of_head(req.head(), request_id)
    }

    /// The same, of a request that did not come through the routes.
    pub fn of_head(head: &RequestHead, request_id: Option<String>) -> Self {
        let client_request_id = head.headers.get(CLIENT_REQUEST_ID).cloned();
        Self { api: Api::of(head.uri.path()), client_request_id, request_id }
    }

    /// Adds them to an answer.
    pub fn add_to(self, headers: &mut HeaderMap) {
        let versions = HeaderValue::from_static(self.api.supported());
        headers.insert(HeaderName::from_static("api-supported-versions"), versions);
        put(headers, "ms-cv", &correlation_vector());
        if let Some(id) = self.request_id {
            put(headers, "x-ms-request-id", &id);
        }
        if let Some(id) = self.client_request_id {
            headers.insert(CLIENT_REQUEST_ID, id);
        }
        if self.api == Api::Rooms && headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        }
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// 22 base64 characters and the position of a first hop.
fn correlation_vector() -> String {
    let base: [u8; 16] = rand::rng().random();
    let mut vector = STANDARD_NO_PAD.encode(base);
    vector.push_str(".0");
    vector
}
