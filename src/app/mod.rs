//! The service put together: database, keys, routes and listeners.

mod docs;
pub mod document;
pub mod keys;

use std::io;
use std::net::TcpListener;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::{KeepAlive, Uri};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, PayloadConfig, ThinData};
use actix_web::{App, Error, HttpServer};
use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing_actix_web::TracingLogger;

use crate::ably::{self, Ably, Demo};
use crate::acs::{self, Acs, PublicHost};
use crate::auth::keys::LiveKeys;
use crate::http::local::{self, Kept, Local, NotLocal};
use crate::http::request_span::RequestSpan;
use crate::http::{State, body, health, watch};
use crate::realtime::{Hub, Limits};
use crate::service::Context;
use crate::service::changes::Told;

/// What the protocols are set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base64.
    pub access_key: String,
    /// `None` accepts any date.
    pub clock_skew: Option<TimeDelta>,
    pub public_hosts: Vec<PublicHost>,
    /// Browser origins that may call; `*` is any.
    pub cors_origins: Vec<String>,
    /// Tells a client why its signature was refused.
    pub explain_auth: bool,
    /// Whether there are live rooms that no backend made, for those whose credential allows them.
    pub named_rooms: bool,
    /// What clients of live rooms can make large.
    pub live: Limits,
    /// A page to try live rooms with, which gives a token to whoever asks.
    pub demo: Option<Demo>,
    /// Whether the page is for others than this machine, too.
    pub demo_for_anyone: bool,
}

/// Where requests come in.
pub struct Listeners {
    pub http: TcpListener,
    pub https: Option<(TcpListener, rustls::ServerConfig)>,
}

/// Runs a command to its end, on the thread that also runs what it spawns locally.
pub fn block_on<T>(command: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(command)
}

/// How long requests in flight have when the service ends.
const DRAIN_SECONDS: u64 = 30;
/// Each has connections to the database of its own, which takes a hundred.
const MOST_THREADS: usize = 16;
/// How long a client's connection may rest: longer than the pools of the usual clients keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Puts the Azure surface together.
pub fn acs(keys: LiveKeys, settings: &Settings) -> Acs {
    Acs::new(keys, settings.clock_skew, settings.public_hosts.clone(), settings.explain_auth)
}

/// Puts the Ably surface together, with the live rooms behind it.
pub fn ably(ctx: &Context, keys: LiveKeys, settings: &Settings) -> Ably {
    Ably::new(Hub::new(settings.live, ctx.clock.clone()), keys, settings.cors_origins.clone())
}

/// What the handlers of both protocols work with.
pub fn state(ctx: Context, ably: &Ably) -> State {
    State { ctx, hub: ably.hub(), told: Told::default() }
}

/// Does what is due in live rooms until `stop` is cancelled, then parts from every client.
pub async fn live(state: State, stop: CancellationToken) {
    let hub = Arc::clone(&state.hub);
    futures_util::future::join(stop.run_until_cancelled(hub.run()), watch::watch(state, stop.clone())).await;
    hub.stop();
}

/// What one thread answers requests with: every route, and what is around all of them.
pub fn app(
    state: State,
    acs: Acs,
    ably: Ably,
    settings: &Settings,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let origins = &settings.cors_origins;
    let local = kept(settings).map(|kept| Local::new(kept, origins));
    App::new()
        .app_data(ThinData(state))
        .app_data(ThinData(acs))
        .app_data(ThinData(ably))
        .app_data(PayloadConfig::new(body::LIMIT))
        .configure(health::routes)
        .configure(acs::routes)
        .configure(|config| ably::routes(config, !origins.is_empty()))
        .configure(|config| settings.demo.iter().for_each(|demo| demo.routes(config)))
        .service(web::resource("/openapi.yaml").route(web::get().to(document::get)))
        .configure(docs::routes)
        .default_service(acs::no_route())
        .wrap(Condition::new(!origins.is_empty(), cors(origins)))
        .wrap(Condition::new(local.is_some(), from_fn(move |req, next| local::keep(local.clone(), refuse, req, next))))
        .wrap(TracingLogger::<RequestSpan>::new())
}

/// What is for this machine alone.
fn kept(settings: &Settings) -> Option<Kept> {
    if keys::is_development_key(&settings.access_key) {
        return Some(Kept::Service);
    }
    (settings.demo.is_some() && !settings.demo_for_anyone).then_some(Kept::Demo)
}

/// Answers in the form of the protocol that was called.
fn refuse(req: ServiceRequest, reason: NotLocal) -> ServiceResponse {
    if ably::serves(req.match_info().as_str()) { ably::refuse(req, reason) } else { acs::refuse(req, reason) }
}

/// Serves until `stop` is cancelled, then finishes what is in flight.
pub fn serve(
    state: State,
    acs: Acs,
    ably: Ably,
    settings: &Settings,
    listeners: Listeners,
    stop: CancellationToken,
) -> io::Result<Server> {
    let settings = settings.clone();
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    let server = HttpServer::new(move || app(state.for_one_of(threads), acs.clone(), ably.clone(), &settings))
        .workers(threads)
        .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
        .tcp_nodelay(true) // else a frame waits until the client has acknowledged the one before, 40 ms
        .shutdown_timeout(DRAIN_SECONDS)
        .shutdown_signal(stop.cancelled_owned())
        .listen(listeners.http)?;
    let server = match listeners.https {
        Some((listener, tls)) => server.listen_rustls_0_23(listener, tls)?,
        None => server,
    };
    Ok(server.run())
}

/// True for what browsers send as `Origin`: a scheme and an authority, and nothing else.
pub fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    uri.scheme().is_some()
        && uri.authority().is_some()
        && uri.path() == "/"
        && uri.query().is_none()
        && !text.ends_with('/')
}

/// Which browsers may call, and what they may send and read.
fn cors(origins: &[String]) -> Cors {
    let cors = ably::cors().allowed_headers(acs::ALLOWED_HEADERS).expose_headers(acs::EXPOSED_HEADERS);
    origins.iter().fold(cors, |cors, origin| match origin.as_str() {
        "*" => cors.allow_any_origin(),
        origin => cors.allowed_origin(origin),
    })
}
