//! Azure Communication Services on the wire: Rooms, and of Identity what rooms need.

mod auth;
mod basic;
mod body;
mod document;
mod error;
mod explain;
mod headers;
mod host;
mod identities;
mod jwks;
mod named_rooms;
mod names;
mod occupancy;
mod options;
mod page;
mod participants;
mod refusals;
mod repeat;
mod rooms;
mod time;
mod version;

use std::future::ready;
use std::sync::Arc;

use actix_web::dev::RequestHead;
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, Resource, ResponseError as _, Route};
use chrono::TimeDelta;
use tracing_actix_web::RequestId;
use uuid::Uuid;

pub use document::Document;
pub use headers::{ALLOWED_HEADERS, EXPOSED_HEADERS};
pub use host::PublicHost;

use crate::auth::keys::LiveKeys;
use crate::http::{Refusal, get};
use crate::service::Work;
use error::ApiError;

/// What the handlers of this protocol work with.
#[derive(Clone)]
pub struct Acs(Arc<Shared>);

struct Shared {
    keys: LiveKeys,
    clock_skew: Option<TimeDelta>,
    public_hosts: Vec<PublicHost>,
    explain_auth: bool,
    basic_auth: bool,
}

impl Acs {
    /// A `clock_skew` of `None` accepts any date; `basic_auth` takes access keys by HTTP Basic.
    pub fn new(
        keys: LiveKeys,
        clock_skew: Option<TimeDelta>,
        public_hosts: Vec<PublicHost>,
        explain_auth: bool,
        basic_auth: bool,
    ) -> Self {
        Self(Arc::new(Shared { keys, clock_skew, public_hosts, explain_auth, basic_auth }))
    }
}

/// Every route of the protocol. What is not one is answered by [`no_route`].
pub fn routes(config: &mut ServiceConfig) {
    let resource = |path: &str, allow: &'static str| {
        web::resource(path)
            .default_service(web::to(move || ready(Err::<HttpResponse, _>(ApiError::MethodNotAllowed { allow }))))
    };
    let add = |config: &mut ServiceConfig, resource: Resource| {
        config.service(resource.wrap(from_fn(headers::add)));
    };
    add(
        config,
        resource("/rooms", "GET, HEAD, POST")
            .route(signed(get().to(rooms::list)))
            .route(signed(web::post().to(rooms::create))),
    );
    // Before what has a room's id in its place.
    add(
        config,
        resource("/rooms/by-name/{name}", "GET, HEAD, PUT")
            .route(signed(get().to(named_rooms::get)))
            .route(signed(web::put().to(named_rooms::put))),
    );
    add(
        config,
        resource("/rooms/{roomId}", "GET, HEAD, PATCH, DELETE")
            .route(signed(get().to(rooms::get)))
            .route(signed(web::patch().to(rooms::update)))
            .route(signed(web::delete().to(rooms::delete))),
    );
    add(
        config,
        resource("/rooms/{roomId}/participants", "GET, HEAD, PATCH")
            .route(signed(get().to(participants::list)))
            .route(signed(web::patch().to(participants::update))),
    );
    add(config, resource("/rooms/{roomId}/occupancy", "GET, HEAD").route(signed(get().to(occupancy::get))));
    add(config, resource("/identities", "POST").route(signed(web::post().to(identities::create))));
    add(config, resource("/identities/{id}", "DELETE").route(signed(web::delete().to(identities::delete))));
    add(
        config,
        resource("/identities/{id}/:issueAccessToken", "POST")
            .route(signed(web::post().to(identities::issue_access_token))),
    );
    add(
        config,
        resource("/identities/{id}/:revokeAccessTokens", "POST")
            .route(signed(web::post().to(identities::revoke_access_tokens))),
    );
    add(config, resource("/.well-known/jwks.json", "GET, HEAD").route(get().to(jwks::get)));
}

/// The answer to a path that is no route.
pub fn no_route() -> Route {
    web::to(async || Err::<HttpResponse, _>(ApiError::NotFound)).wrap(from_fn(headers::add))
}

/// The answer to a path that is nothing.
pub fn not_found() -> HttpResponse {
    ApiError::NotFound.error_response()
}

/// The database work that a request to this protocol causes; `None` if it causes none.
pub fn work(method: &Method, path: &str) -> Option<Work> {
    if path.starts_with("/identities") {
        return Some(Work::Other);
    }
    let mut rest = path.strip_prefix("/rooms")?.split('/').skip(1);
    let (room, part) = (rest.next().unwrap_or_default(), rest.next());
    Some(match (method.as_str(), part) {
        ("GET", None) if room.is_empty() => Work::List,
        ("POST", None) if room.is_empty() => Work::Create,
        ("GET", None) => Work::Get,
        ("PATCH", Some("participants")) => Work::ChangeRoster,
        _ => Work::Other,
    })
}

/// The answer to a request that is refused before it comes to a route.
pub fn refuse(req: &HttpRequest, reason: Refusal) -> HttpResponse {
    let error = match reason {
        Refusal::NotLocal(reason) => ApiError::NotLocal(reason),
        Refusal::Overloaded => ApiError::Overloaded,
    };
    let mut response = error.error_response();
    let id = req.extensions().get::<RequestId>().map_or_else(|| Uuid::new_v4().to_string(), ToString::to_string);
    headers::Common::of_head(req.head(), Some(id)).add_to(response.headers_mut());
    response
}

/// The answer to a WebSocket at a path that has none.
pub fn no_web_socket(head: &RequestHead) -> HttpResponse {
    let mut response = ApiError::NoWebSocket.error_response();
    headers::Common::of_head(head, Some(Uuid::new_v4().to_string())).add_to(response.headers_mut());
    response
}

fn signed(route: Route) -> Route {
    route.wrap(from_fn(auth::authenticate))
}
