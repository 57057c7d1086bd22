//! The service put together: database, keys, routes and listeners.

mod docs;
pub mod document;
pub mod keys;
mod listen;

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;

use actix_cors::Cors;
use actix_http::ConnectionType;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue, ORIGIN, VARY};
use actix_web::http::{Method, Uri};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, PayloadConfig, ThinData};
use actix_web::{App, Error, HttpRequest, HttpResponse};
use chrono::TimeDelta;
use futures_util::future::{join, join3};
use tokio_util::sync::CancellationToken;
use tracing_actix_web::TracingLogger;

use crate::ably::{self, Ably, Demo};
use crate::acs::{self, Acs, PublicHost};
use crate::auth::keys::LiveKeys;
use crate::budget::Budget;
use crate::http::admission::{Admitted, InFlight};
use crate::http::budget::BodyBudget;
use crate::http::local::{self, Kept, Local};
use crate::http::request_span::RequestSpan;
use crate::http::{Refusal, State, body, connection, get, health, watch};
use crate::jobs::outages;
use crate::net;
use crate::realtime::{Hub, Limits};
use crate::service::Context;
use crate::service::changes::Told;
use crate::service::keys::Given;
use crate::telemetry;
pub use listen::{serve, usual_requests};

/// What the protocols are set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base64.
    pub access_key: String,
    /// Another key that requests may be signed with; base64, too.
    pub secondary_access_key: Option<String>,
    /// Whether these keys replace those that are stored.
    pub replace_access_key: bool,
    /// `None` accepts any date.
    pub clock_skew: Option<TimeDelta>,
    pub public_hosts: Vec<PublicHost>,
    /// Browser origins that may call; `*` is any.
    pub cors_origins: Vec<String>,
    /// Tells a client why its signature was refused.
    pub explain_auth: bool,
    /// Whether a request may have the access key itself, by HTTP Basic.
    pub basic_auth: bool,
    /// Whether there are live rooms that no backend made, for those whose credential allows them.
    pub named_rooms: bool,
    /// The most requests that are handled at once.
    pub max_requests: usize,
    /// The most bytes of request bodies that are held at once.
    pub max_body_memory: usize,
    /// The most bytes of live clients' messages that are held before they are whole.
    pub max_input_memory: usize,
    /// What clients of live rooms can make large.
    pub live: Limits,
    /// How many sockets there may be.
    pub sockets: net::Limits,
    /// A page to try live rooms with, which gives a token to whoever asks.
    pub demo: Option<Demo>,
    /// Whether the page is for others than this machine, too.
    pub demo_for_anyone: bool,
}

impl Settings {
    /// The keys that the service is started with.
    pub fn keys(&self) -> Given<'_> {
        Given {
            primary: &self.access_key,
            secondary: self.secondary_access_key.as_deref(),
            replaces: self.replace_access_key,
        }
    }
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

/// Puts the Azure surface together.
pub fn acs(keys: LiveKeys, settings: &Settings) -> Acs {
    Acs::new(keys, settings.clock_skew, settings.public_hosts.clone(), settings.explain_auth, settings.basic_auth)
}

/// Puts the Ably surface together, with the live rooms behind it.
pub fn ably(ctx: &Context, keys: LiveKeys, settings: &Settings) -> Ably {
    let hub = Hub::new(settings.live, ctx.clock.clone());
    Ably::new(hub, keys, settings.cors_origins.clone(), Budget::new(settings.max_input_memory))
}

/// What the handlers of both protocols work with. `draining` is cancelled when the service is about to end.
pub fn state(ctx: Context, ably: &Ably, settings: &Settings, draining: CancellationToken) -> State {
    let refusals = ctx.refusals.clone();
    State {
        ctx,
        hub: ably.hub(),
        told: Told::default(),
        bodies: BodyBudget::new(settings.max_body_memory),
        in_flight: InFlight::new(settings.max_requests, refusals),
        draining,
    }
}

/// Does what is due in live rooms, and tells of lines that the log leaves out, until `stop` is cancelled; then parts from
/// every client.
pub async fn live(state: State, stop: CancellationToken) {
    let hub = Arc::clone(&state.hub);
    let log = join(telemetry::tell_left_out(), outages::run(state.ctx.clone()));
    let log = stop.run_until_cancelled(log);
    join3(stop.run_until_cancelled(hub.run()), watch::watch(state, stop.clone()), log).await;
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
    let local = kept_to_this_machine(settings);
    let (ctx, bodies) = (state.ctx.clone(), state.bodies.clone());
    let in_flight = state.in_flight.clone();
    let readers: Rc<[String]> = origins.as_slice().into();
    App::new()
        .app_data(ThinData(state))
        .app_data(ThinData(acs))
        .app_data(ThinData(ably))
        .app_data(PayloadConfig::new(body::LIMIT))
        .configure(health::routes)
        .configure(acs::routes)
        .configure(|config| ably::routes(config, !origins.is_empty()))
        .configure(|config| settings.demo.iter().for_each(|demo| demo.routes(config)))
        .service(web::resource("/openapi.yaml").route(get().to(document::get)))
        .configure(docs::routes)
        .default_service(acs::no_route())
        .wrap(Condition::new(!origins.is_empty(), cors(origins)))
        .wrap(Condition::new(local.is_some(), from_fn(move |req, next| local::keep(local.clone(), refuse, req, next))))
        .wrap(TracingLogger::<RequestSpan>::new())
        .wrap_fn(move |mut req, service| {
            route_without_doubled_slash(&mut req);
            let admitted = admit(&req, &in_flight, &ctx);
            phases(req, service, admitted, bodies.clone(), Rc::clone(&readers))
        })
}

/// Takes `//rooms` for `/rooms`: a base URL that ends in a slash, joined with a path. The target stays as it was signed.
fn route_without_doubled_slash(req: &mut ServiceRequest) {
    if !req.uri().path().starts_with("//") {
        return;
    }
    let path = format!("/{}", req.uri().path().trim_start_matches('/'));
    if let Ok(uri) = Uri::try_from(path) {
        req.match_info_mut().get_mut().update(&uri);
    }
}

/// What is for this machine alone.
fn kept_to_this_machine(settings: &Settings) -> Option<Local> {
    let kept = match (keys::is_development_key(&settings.access_key), &settings.demo) {
        (true, _) => Kept::Service,
        (false, Some(_)) if !settings.demo_for_anyone => Kept::Demo,
        _ => return None,
    };
    Some(Local::new(kept, &settings.cors_origins))
}

/// Admits a request before anything is done for it. Probes and preflights are always admitted.
fn admit(req: &ServiceRequest, in_flight: &InFlight, ctx: &Context) -> Result<Option<Admitted>, Refusal> {
    let path = req.match_info().as_str();
    if health::is_probe(path) || req.method() == Method::OPTIONS {
        return Ok(None);
    }
    let is_overloaded =
        || !ably::serves(path) && acs::work(req.method(), path).is_some_and(|work| ctx.is_overloaded(work));
    in_flight.admit(is_overloaded).map(Some).ok_or(Refusal::Overloaded)
}

/// Tells the connection of a request how far the request is: each phase has a deadline. A request for which there is no
/// place any more is the last one of its connection.
fn phases<B, S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>>(
    req: ServiceRequest,
    service: &S,
    admitted: Result<Option<Admitted>, Refusal>,
    bodies: BodyBudget,
    origins: Rc<[String]>,
) -> impl Future<Output = Result<ServiceResponse<EitherBody<B>>, Error>> + use<B, S> {
    let (connection, body) = (connection(req.request()).cloned(), body::announced(req.request()));
    let answering = match admitted {
        Ok(admitted) => Ok((service.call(req), admitted)), // nothing is done of it before it is awaited
        Err(refusal) => Err((req, refusal)),
    };
    async move {
        if let Some(connection) = &connection
            && connection.is_answering()
        {
            connection.answered().await;
        }
        let has_place = connection.as_ref().is_none_or(|connection| connection.request_begins(body));
        let mut answer = match answering {
            Ok((answering, _admitted)) => {
                let _turn = match &connection {
                    Some(connection) => connection.wait_for_turn().await,
                    None => None,
                };
                answering.await.map(ServiceResponse::map_into_left_body)
            }
            Err((req, refusal)) => Ok(refuse_unread(req, refusal, &bodies, &origins).await.map_into_right_body()),
        };
        if let Some(connection) = connection {
            connection.answer_begins();
        }
        if let (false, Ok(answer)) = (has_place, &mut answer) {
            answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        answer
    }
}

/// Refuses a request whose body is not read yet. A small body is read and dropped, so that the next request can come on
/// the same connection.
async fn refuse_unread(
    mut req: ServiceRequest,
    refusal: Refusal,
    bodies: &BodyBudget,
    origins: &[String],
) -> ServiceResponse {
    let is_read = body::skip(&mut req, bodies).await;
    let mut answer = refuse(req.request(), refusal);
    if let Some(origin) = readable_by(req.request(), origins) {
        answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    }
    if !is_read {
        answer.head_mut().set_connection_type(ConnectionType::Close);
    }
    req.into_response(answer)
}

/// The browser origin that may read a refusal, which does not pass through [`cors`].
fn readable_by(req: &HttpRequest, origins: &[String]) -> Option<HeaderValue> {
    let origin = req.headers().get(ORIGIN)?;
    let is_open = origins.is_empty() && ably::serves(req.match_info().as_str());
    let is_allowed = is_open || origins.iter().any(|allowed| allowed == "*" || origin == allowed);
    is_allowed.then(|| origin.clone())
}

/// Answers in the form of the protocol that was called.
fn refuse(req: &HttpRequest, reason: Refusal) -> HttpResponse {
    if ably::serves(req.match_info().as_str()) { ably::refuse(req, reason) } else { acs::refuse(req, reason) }
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
