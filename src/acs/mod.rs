//! Azure Communication Services on the wire: Rooms, and of Identity what rooms need.

mod auth;
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

use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, ResponseError as _, Route};
use chrono::TimeDelta;
use uuid::Uuid;

pub use document::Document;
pub use headers::{ALLOWED_HEADERS, EXPOSED_HEADERS};
pub use host::PublicHost;

use crate::auth::keys::LiveKeys;
use crate::http::local::NotLocal;
use error::ApiError;

/// What the handlers of this protocol work with.
#[derive(Clone)]
pub struct Acs(Arc<Shared>);

struct Shared {
    keys: LiveKeys,
    clock_skew: Option<TimeDelta>,
    public_hosts: Vec<PublicHost>,
    explain_auth: bool,
}

impl Acs {
    /// A `clock_skew` of `None` accepts any date.
    pub fn new(
        keys: LiveKeys,
        clock_skew: Option<TimeDelta>,
        public_hosts: Vec<PublicHost>,
        explain_auth: bool,
    ) -> Self {
        Self(Arc::new(Shared { keys, clock_skew, public_hosts, explain_auth }))
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
        resource("/rooms", "GET, POST")
            .route(signed(web::get().to(rooms::list)))
            .route(signed(web::post().to(rooms::create))),
    );
    // Before what has a room's id in its place.
    add(
        config,
        resource("/rooms/by-name/{name}", "GET, PUT")
            .route(signed(web::get().to(named_rooms::get)))
            .route(signed(web::put().to(named_rooms::put))),
    );
    add(
        config,
        resource("/rooms/{roomId}", "GET, PATCH, DELETE")
            .route(signed(web::get().to(rooms::get)))
            .route(signed(web::patch().to(rooms::update)))
            .route(signed(web::delete().to(rooms::delete))),
    );
    add(
        config,
        resource("/rooms/{roomId}/participants", "GET, PATCH")
            .route(signed(web::get().to(participants::list)))
            .route(signed(web::patch().to(participants::update))),
    );
    add(config, resource("/rooms/{roomId}/occupancy", "GET").route(signed(web::get().to(occupancy::get))));
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
    add(config, resource("/.well-known/jwks.json", "GET").route(web::get().to(jwks::get)));
}

/// The answer to a path that is no route.
pub fn no_route() -> Route {
    web::to(async || Err::<HttpResponse, _>(ApiError::NotFound)).wrap(from_fn(headers::add))
}

/// The answer to a request that is refused before it comes to a route.
pub fn refuse(req: ServiceRequest, reason: NotLocal) -> ServiceResponse {
    let common = headers::Common::of(&req);
    let (req, _) = req.into_parts();
    let mut response = ServiceResponse::from_err(ApiError::NotLocal(reason), req);
    common.add_to(response.headers_mut());
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
