//! Ably on the wire: live rooms, their presence and occupancy.

mod attach;
mod auth;
mod capability;
mod channels;
mod codec;
mod content;
mod demo;
mod door;
mod error;
mod frame;
mod object;
mod pack;
mod pages;
mod render;
mod rest;
mod session;
mod socket;
mod tokens;
mod transcode;

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;

use actix_cors::Cors;
use actix_http::{RequestHead, Response};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Condition;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use crate::auth::keys::LiveKeys;
use crate::budget::Budget;
use crate::http::{Refusal, get};
use crate::realtime::Hub;
pub use demo::Demo;
use error::ErrorInfo;
pub use socket::{RefusedHandshake, Wish, serve};

/// The largest frame (ably-chat.md, section 5).
const MAX_FRAME: usize = 512 * 1024;
/// Frames a second that are read from one client; what comes quicker waits.
const MAX_INBOUND_RATE: NonZeroU32 = NonZeroU32::new(250).unwrap();

/// What the handlers of this protocol work with.
#[derive(Clone)]
pub struct Ably(Arc<Shared>);

/// Behind [`Ably`].
pub struct Shared {
    hub: Arc<Hub>,
    keys: LiveKeys,
    nonces: tokens::Nonces,
    /// Browser origins that may connect; none is any.
    origins: Vec<String>,
    /// What all sockets hold of messages that are not whole yet.
    input: Budget,
}

impl Ably {
    /// The surface of a hub. `input` bounds messages that are not whole yet, of all sockets together.
    pub fn new(hub: Arc<Hub>, keys: LiveKeys, origins: Vec<String>, input: Budget) -> Self {
        Self(Arc::new(Shared { hub, keys, nonces: tokens::Nonces::default(), origins, input }))
    }

    /// Answers the handshake of a WebSocket.
    ///
    /// # Errors
    /// It is none, or its origin may not connect.
    pub fn accept(&self, head: &RequestHead) -> Result<(Response<()>, Wish), RefusedHandshake> {
        socket::accept(head, &self.origins)
    }

    /// The live rooms behind it.
    pub fn hub(&self) -> Arc<Hub> {
        Arc::clone(&self.0.hub)
    }
}

impl Deref for Ably {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Every route of the protocol. Any browser may call, unless `has_own_cors` says that others decide.
pub fn routes(config: &mut ServiceConfig, has_own_cors: bool) {
    let resource = |path: &str| web::resource(path).default_service(web::to(async |req| rest::wrong_method(&req)));
    let mut add = |resource: Resource| {
        config.service(resource.wrap(Condition::new(!has_own_cors, cors().allow_any_origin())));
    };
    // The answer is the same for every version of Chat.
    add(resource("/chat/{version:v[1-4]}/rooms/{room}/occupancy").route(get().to(channels::room_occupancy)));
    add(resource("/channels").route(get().to(channels::list)));
    add(resource("/channels/{channel}").route(get().to(channels::status)));
    add(resource("/channels/{channel}/presence").route(get().to(channels::members)));
    add(resource("/channels/{channel}/presence/{clientId}").route(web::delete().to(channels::evict)));
    add(resource("/keys/{keyName}/requestToken").route(web::post().to(tokens::request_token)));
    add(resource("/time").route(get().to(channels::time)));
    for place in PLACES {
        for rest in [place.to_owned(), format!("{place}/{{rest:.*}}")] {
            add(web::resource(rest).default_service(web::to(async |req| rest::not_found(&req))));
        }
    }
    config.service(web::resource("/").route(get().to(welcome)));
}

/// The first segments of this protocol's paths, besides `/` itself and the page at [`DEMO`]; also of those that are not
/// served, so that they are refused in its own form.
const PLACES: [&str; 10] =
    ["/chat", "/channels", "/keys", "/comet", "/time", "/stats", "/presence", "/messages", "/push", "/apps"];
const DEMO: &str = "/demo";

/// True for a path of this protocol.
pub fn serves(path: &str) -> bool {
    let is_in = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path == "/" || is_in(DEMO) || PLACES.into_iter().any(is_in)
}

/// The answer to a request that is refused before it comes to a route. Who asks to upgrade, or looks what is here,
/// reads plain text.
pub fn refuse(req: &HttpRequest, reason: Refusal) -> HttpResponse {
    match reason {
        Refusal::NotLocal(reason) if req.path() == "/" => {
            HttpResponse::Forbidden().content_type("text/plain; charset=utf-8").body(format!("{reason}\n"))
        }
        Refusal::NotLocal(reason) => rest::answer::<()>(req, StatusCode::OK, Err(ErrorInfo::not_local(reason))),
        Refusal::Overloaded => rest::answer::<()>(req, StatusCode::OK, Err(ErrorInfo::overloaded())),
    }
}

/// What browsers may send here, and read.
pub fn cors() -> Cors {
    Cors::default()
        .supports_credentials()
        .allowed_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH])
        .allowed_headers(["authorization", "accept", "content-type", "x-ably-version", "x-ably-clientid", "ably-agent"])
        .expose_headers(["Link", "X-Ably-Errorcode", "X-Ably-Errormessage"])
        .max_age(3600)
}

/// For a person who looks what is here.
async fn welcome(_: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(concat!(
        "roomkeeper ",
        env!("CARGO_PKG_VERSION"),
        "\nrooms: /rooms, described in /openapi.yaml\nlive rooms: a WebSocket here, for npm's ably and @ably/chat\n",
    ))
}
