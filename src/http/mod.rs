//! What both protocols share on HTTP.

pub mod admission;
pub mod body;
pub mod budget;
pub mod doors;
pub mod health;
pub mod local;
pub mod order;
pub mod path;
pub mod request_span;
pub mod watch;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::web;
use actix_web::{HttpRequest, Route, guard};
use tokio_util::sync::CancellationToken;

use self::admission::InFlight;
use self::budget::BodyBudget;
use self::local::NotLocal;
use crate::net::Connection;
use crate::realtime::Hub;
use crate::service::Context;
use crate::service::changes::Told;

/// What the handlers of both protocols work with.
#[derive(Clone)]
pub struct State {
    pub ctx: Context,
    pub hub: Arc<Hub>,
    /// For the other replicas.
    pub told: Told,
    /// For the bodies of all requests.
    pub bodies: BodyBudget,
    /// The requests that are being handled.
    pub in_flight: InFlight,
    /// Cancelled when the service is about to end: nobody new should connect.
    pub draining: CancellationToken,
}

/// Why a request is refused before it comes to a route.
#[derive(Debug, Clone, Copy)]
pub enum Refusal {
    NotLocal(NotLocal),
    /// More requests come than can be answered in time.
    Overloaded,
}

impl State {
    /// The same, for one of so many threads.
    pub fn for_one_of(&self, threads: usize) -> Self {
        Self { ctx: self.ctx.for_one_of(threads), ..self.clone() }
    }
}

/// A route for GET, and for HEAD, whose answers have no body (RFC 9110, section 9.3.2).
pub fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// The connection that a request came on; none in a test without one.
pub fn connection(req: &HttpRequest) -> Option<&Rc<Connection>> {
    req.conn_data()
}

/// True if a request came over HTTPS.
pub fn is_tls(req: &HttpRequest) -> bool {
    connection(req).is_some_and(|connection| connection.is_tls())
}

/// The address that a request came to.
pub fn local_address(req: &HttpRequest) -> Option<SocketAddr> {
    connection(req).map(|connection| connection.local())
}

/// A client's own text, cut to so many characters: neither the log nor an answer grows with it.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into(); // it has no more characters than bytes
    }
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
