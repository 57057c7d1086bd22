//! A client's socket: one task that reads, writes, keeps alive and ends.

mod inbox;
mod talk;
mod times;
mod writer;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::ws::{self, CloseCode, HandshakeError};
use actix_http::{Method, RequestHead, Response, StatusCode, h1};
use actix_web::http::header::{HOST, ORIGIN};

use super::attach::Admissions;
use super::auth::{self, Credential, Denied, Presented};
use super::codec::Format;
use super::error::ErrorInfo;
use super::frame::{Outgoing, action};
use super::session::{Client, granted};
use super::{Ably, MAX_FRAME, rest};
use crate::http::{State, shortened};
use crate::net::Stream;
use crate::net::web_socket::{self, Reader};
use crate::realtime::{Full, Identity, Place, Session};
use talk::talk;
use writer::Socket;

/// How long either side may be silent, unless the client asks otherwise (ably-chat.md, section 3.4).
const IDLE: Duration = Duration::from_secs(15);
/// A client that wants to hear from us more rarely is pinged all the same: one that is gone is noticed after twice this.
const PINGED: Duration = Duration::from_secs(15);
const IDLE_ALLOWED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1800));
/// Around an occupancy update nothing else is written: in one segment with an echo and its ACK, the
/// SDK takes the ACK first (section 3.8).
const BEFORE_OCCUPANCY: Duration = Duration::from_millis(10);
const AFTER_OCCUPANCY: Duration = Duration::from_millis(5);
/// A client's own frame, such as an ACK, behind more than its own echo comes so much later, for the same reason.
const APART: Duration = Duration::from_millis(2);
/// Bytes that are put together before they are written.
const AT_ONCE: usize = 16 * 1024;
/// How long before its end a token's renewal is asked for.
const RENEW_BEFORE: Duration = Duration::from_secs(30);
/// How many bytes cost as much as one frame.
const BYTES_A_FRAME: usize = 16 * 1024;
/// How much of why a client was refused stands in the log, in characters: some of it is the client's own text.
const LONGEST_REASON: usize = 200;
/// How long a last word may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// The parameters of a connection, as the client asks for them.
pub struct Wish {
    presented: Option<Presented>,
    client_id: Option<String>,
    format: Format,
    resume: Option<String>,
    echo: bool,
    /// It can't see pings, or does not say that it can, and wants frames.
    heartbeats: bool,
    idle: Duration,
    remain_present_for: Option<Duration>,
}

/// A handshake that is refused: the status, and a text for people.
pub type RefusedHandshake = (StatusCode, String);

/// Answers the handshake of a WebSocket, which is `GET /`.
///
/// # Errors
/// It is none, or its origin may not connect.
pub fn accept(head: &RequestHead, origins: &[String]) -> Result<(Response<()>, Wish), RefusedHandshake> {
    if head.method != Method::GET || head.uri.path() != "/" {
        return Err((
            StatusCode::BAD_REQUEST,
            "WebSockets are opened by GET /, and nothing else is upgraded\n".to_owned(),
        ));
    }
    if !may_connect(head, origins) {
        let told = "this origin may not connect: see --cors-origin\n";
        return Err((StatusCode::FORBIDDEN, told.to_owned()));
    }
    let refused = |error: HandshakeError| (StatusCode::BAD_REQUEST, format!("no handshake of a WebSocket: {error}\n"));
    let response = ws::handshake(head).map_err(refused)?.finish().drop_body();
    Ok((response, wish(head.uri.query().unwrap_or(""))))
}

/// Browsers say where a page is from; a page of our own may always connect.
fn may_connect(head: &RequestHead, origins: &[String]) -> bool {
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = header(ORIGIN) else { return true };
    let is_own = origin.split_once("://").map(|(_, authority)| authority) == header(HOST);
    origins.is_empty() || is_own || origins.iter().any(|allowed| allowed == "*" || allowed == origin)
}

fn wish(query: &str) -> Wish {
    let param = |name| rest::query_in(query, name);
    let span = |name| param(name).and_then(|text| text.parse().ok()).map(Duration::from_millis);
    Wish {
        presented: rest::presented_in(query),
        client_id: param("clientId"),
        format: if param("format").as_deref() == Some("msgpack") { Format::MessagePack } else { Format::Json },
        resume: param("resume").or_else(|| param("recover")),
        echo: param("echo").as_deref() != Some("false"),
        heartbeats: param("heartbeats").as_deref() != Some("false"),
        idle: span("heartbeatInterval").map_or(IDLE, |idle| idle.clamp(IDLE_ALLOWED.0, IDLE_ALLOWED.1)),
        remain_present_for: span("remainPresentFor"),
    }
}

/// Serves a client on a WebSocket that was opened. A refusal is told over it: of a refused handshake, clients only see
/// that it failed (section 2.6).
pub async fn serve(framed: Framed<Stream, h1::Codec>, wish: Wish, state: State, ably: Ably) {
    let place = ably.hub.place().ok();
    let (reader, writer) = web_socket::split(framed, MAX_FRAME, ably.input.share());
    serve_on(Socket::new(writer, wish.format), reader, wish, state, ably, place).await;
}

/// From the open socket to its end.
async fn serve_on(socket: Socket, mut incoming: Reader, wish: Wish, state: State, ably: Ably, place: Option<Place>) {
    // On its own heap, and let go of: what asks the database is ten times as large as what stays with a socket.
    let opened = Box::pin(open(&wish, &state, &ably, place)).await;
    let (session, credential, refused) = match opened {
        Ok(opened) => opened,
        Err(Denied::Refused(error)) => {
            let reason = shortened(&error.message, LONGEST_REASON);
            tracing::info!(code = error.code, %reason, "a client is refused");
            let last = last(action::ERROR, Some(error));
            return socket.end(&mut incoming, Some(last), Some(CloseCode::Policy.into())).await;
        }
        Err(denied @ (Denied::Unavailable | Denied::Later(_))) => {
            let last = last(action::DISCONNECTED, Some(denied.into_error()));
            return socket.end(&mut incoming, Some(last), Some(CloseCode::Again.into())).await;
        }
    };
    let (hub, keys) = (Arc::clone(&ably.hub), ably.keys.clone());
    let credential = Arc::new(credential);
    let (debt, admissions) = (Cell::new(0), Admissions::default());
    let Wish { format, idle, heartbeats, .. } = wish;
    let client = Client { state, keys, hub, session, credential, format, idle, debt, admissions };
    client.tell_connected(refused);
    Box::pin(talk(socket, incoming, client, heartbeats)).await;
}

async fn open(
    wish: &Wish,
    state: &State,
    ably: &Ably,
    place: Option<Place>,
) -> Result<(Session, Credential, Option<ErrorInfo>), Denied> {
    let place = place.ok_or(Denied::Unavailable)?;
    let told = "connect with a key (?key=) or a token (?access_token=)";
    let presented = wish.presented.as_ref();
    let presented = presented.ok_or_else(|| Denied::Refused(ErrorInfo::malformed_credential(told)))?;
    let credential = auth::judge(state, &ably.keys.current(), presented, true).await?;
    let owner = credential.owner(wish.client_id.as_deref()).map_err(Denied::Refused)?;
    if let Identity::Client(id) = &owner.identity {
        auth::check_client_id(id).map_err(Denied::Refused)?;
    }
    let (holder, resume) = (credential.holder(), wish.resume.as_deref());
    let opened = ably.hub.open(place, owner, holder, resume, wish.remain_present_for, wish.echo);
    let (session, refused) = opened.map_err(|full| match full {
        Full::Node => Denied::Unavailable,
        Full::Holder => Denied::Later(ErrorInfo::too_many_connections(ably.hub.limits().connections_per_client)),
    })?;
    session.holds_token_of(credential.issue);
    // It may come back with a credential that allows less.
    session.regrant(|channel| granted(credential.on(channel)));
    Ok((session, credential, refused.map(ErrorInfo::from)))
}

fn last(action: u32, error: Option<ErrorInfo>) -> Outgoing<'static> {
    Outgoing { action, error, ..Outgoing::default() }
}
