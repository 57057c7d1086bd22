//! Listeners, and what serves a connection from its first byte to its last (docs/limits.md).
//!
//! This stands in the place of actix-web's own `HttpServer`, which has a deadline for the head of the first request
//! alone, buffers kilobytes for each connection, also of a WebSocket, and does not bound them.

use std::future::{poll_fn, ready};
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::body::{self, BodySize};
use actix_http::error::DispatchError;
use actix_http::h1::{Codec, Message};
use actix_http::{ConnectionType, HttpService, KeepAlive, Request, Response, StatusCode};
use actix_server::Server;
use actix_service::{
    IntoServiceFactory as _, Service as _, ServiceFactory, ServiceFactoryExt as _, fn_factory, fn_service, map_config,
};
use actix_web::dev::AppConfig;
use actix_web::{Error, HttpResponse};
use futures_util::SinkExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Listeners, Settings, app, kept_to_this_machine};
use crate::ably::{self, Ably};
use crate::acs::{self, Acs};
use crate::http::State;
use crate::http::local::Local;
use crate::net::{Connection, Gate, Stream, Supervised, Turns};

/// How long requests in flight have when the service ends.
const DRAIN_SECONDS: u64 = 30;
/// Each has connections to the database of its own, which takes a hundred.
const MOST_THREADS: usize = 16;
/// Requests that each handles at once.
const REQUESTS: usize = 2_048;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a refused handshake of a WebSocket may take to be told.
const FAREWELL: Duration = Duration::from_secs(1);

/// The threads that serve.
fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS)
}

/// The most requests that are handled at once, unless it is set: as many as statements that wait for a slow disk are for,
/// and as many again, so that they wait for a fifth of a second where the processor is the bound.
pub fn usual_requests() -> usize {
    threads() * REQUESTS
}

/// Serves until `stop` is cancelled, then finishes what is in flight. The gate counts the sockets.
///
/// # Errors
/// The listeners can't be used.
pub fn serve(
    state: State,
    acs: Acs,
    ably: Ably,
    settings: &Settings,
    listeners: Listeners,
    gate: Gate,
    stop: CancellationToken,
) -> io::Result<Server> {
    let threads = threads();
    let site = Site { state, acs, ably, settings: Arc::new(settings.clone()), threads, gate, stop: stop.clone() };
    let mut server = Server::build()
        .workers(threads)
        .max_concurrent_connections(usize::MAX) // the gate counts them
        .shutdown_timeout(DRAIN_SECONDS)
        .shutdown_signal(stop.cancelled_owned());
    let http = listeners.http.local_addr()?;
    let plain = site.clone();
    server = server.listen("http", listeners.http, move || plain.clone().service(http, None))?;
    if let Some((listener, tls)) = listeners.https {
        let (https, acceptor) = (listener.local_addr()?, TlsAcceptor::from(Arc::new(tls)));
        server = server.listen("https", listener, move || site.clone().service(https, Some(acceptor.clone())))?;
    }
    Ok(server.run())
}

/// What every thread serves.
#[derive(Clone)]
struct Site {
    state: State,
    acs: Acs,
    ably: Ably,
    settings: Arc<Settings>,
    threads: usize,
    gate: Gate,
    stop: CancellationToken,
}

impl Site {
    /// What one thread serves the connections of a listener with.
    fn service(
        self,
        local: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
        fn_factory(move || {
            let (site, tls) = (self.clone(), tls.clone());
            async move {
                let (gate, stop, turns) = (site.gate.clone(), site.stop.clone(), Turns::default());
                let http = Rc::new(site.http().new_service(()).await.map_err(|_| ())?);
                Ok(fn_service(move |tcp: TcpStream| {
                    let (http, tls, stop, turns) = (Rc::clone(&http), tls.clone(), stop.clone(), turns.clone());
                    let peer = tcp.peer_addr().ok();
                    let slot = gate.enter(peer.map(|peer| peer.ip()));
                    async move {
                        let Some(slot) = slot else {
                            let _ = tcp.set_zero_linger();
                            return Ok(());
                        };
                        let _ = tcp.set_nodelay(true); // else a frame waits until the client has acknowledged the one before
                        let connection = Rc::new(Connection::new(peer, local, tls.is_some(), slot, turns));
                        let Some(stream) = open(tcp, tls, &connection).await else { return Ok(()) };
                        poll_fn(|cx| http.poll_ready(cx)).await.map_err(|_| ())?;
                        let _ = Supervised::new(http.call((stream, peer)), Rc::clone(&connection), stop).await;
                        if let Some(next) = connection.take_next() {
                            next.await;
                        }
                        Ok(())
                    }
                }))
            }
        })
    }

    /// HTTP/1.1 on a stream, and what a WebSocket is upgraded to.
    fn http(
        self,
    ) -> impl ServiceFactory<(Stream, Option<SocketAddr>), Config = (), Response = (), Error = DispatchError, InitError = ()>
    {
        let (state, ably, settings) = (self.state.for_one_of(self.threads), self.ably, self.settings);
        let local = kept_to_this_machine(&settings);
        let app = app(state.clone(), self.acs, ably.clone(), &settings)
            .into_factory()
            .map_err(|error: Error| error.error_response());
        HttpService::build()
            .keep_alive(KeepAlive::Os) // each phase has its deadline in `net`
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(FAREWELL)
            .on_connect_ext(|stream: &Stream, data| {
                data.insert(Rc::clone(stream.connection()));
            })
            .upgrade(fn_service(move |(req, framed): (Request, Framed<Stream, Codec>)| {
                let connection = Rc::clone(framed.io_ref().connection());
                let upgraded = upgrade(req, framed, local.clone(), state.clone(), ably.clone());
                connection.go_on_with(Box::pin(upgraded));
                ready(Ok::<_, Error>(()))
            }))
            .h1(map_config(app, |()| AppConfig::default()))
    }
}

/// The stream of a socket: with TLS, once the handshake is done.
async fn open(tcp: TcpStream, tls: Option<TlsAcceptor>, connection: &Rc<Connection>) -> Option<Stream> {
    let Some(tls) = tls else { return Some(Stream::plain(tcp, Rc::clone(connection))) };
    // On its own heap: it is large, and the task of the connection would keep the space for it.
    let handshake = Box::pin(timeout(HANDSHAKE, tls.accept(tcp)));
    let stream = Stream::tls(handshake.await.ok()?.ok()?, Rc::clone(connection));
    connection.head_begins(); // it had its own time
    Some(stream)
}

/// What comes with `Upgrade: websocket`, whatever its path and method, or by CONNECT: past the routes.
async fn upgrade(req: Request, mut framed: Framed<Stream, Codec>, local: Option<Local>, state: State, ably: Ably) {
    let has_place = framed.io_ref().connection().upgrade();
    let checked = local.map_or(Ok(()), |local| local.check(req.head(), req.path()));
    let plain = |status, text| HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(text);
    let refused = match checked {
        _ if !has_place => plain(StatusCode::SERVICE_UNAVAILABLE, "the service is full: try again\n".to_owned()),
        Err(reason) => plain(StatusCode::FORBIDDEN, format!("{reason}\n")),
        Ok(()) if req.path() != "/" => acs::no_web_socket(req.head()),
        Ok(()) => match ably.accept(req.head()) {
            Ok((response, wish)) => {
                drop(req);
                if framed.send(Message::Item((response, BodySize::None))).await.is_ok() {
                    Box::pin(ably::serve(framed, wish, state, ably)).await;
                }
                return;
            }
            Err((status, text)) => plain(status, text),
        },
    };
    let _ = Box::pin(timeout(FAREWELL, answer(framed, refused))).await;
}

/// Answers, and closes the connection.
async fn answer(mut framed: Framed<Stream, Codec>, answer: HttpResponse) -> Result<(), Error> {
    let (head, body) = answer.into_parts();
    let body = body::to_bytes(body).await?;
    let mut head = Response::from(head).drop_body();
    head.head_mut().set_connection_type(ConnectionType::Close);
    framed.send(Message::Item((head, BodySize::Sized(body.len() as u64)))).await?;
    framed.send(Message::Chunk(Some(body))).await?;
    Ok(framed.close().await?)
}
