//! A client's socket: one task that reads, writes, keeps alive and ends.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HOST, ORIGIN};
use actix_web::rt;
use actix_web::web::{Payload, ThinData};
use actix_web::{Error, HttpRequest, HttpResponse};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, Closed, ProtocolError};
use bytes::Bytes;
use bytestring::ByteString;
use chrono::{DateTime, Utc};
use governor::clock::{Clock as _, DefaultClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::{Instant, sleep_until, timeout};

use super::auth::{self, Credential, Denied, Presented};
use super::codec::Format;
use super::error::ErrorInfo;
use super::frame::{Outgoing, action};
use super::session::{Client, Next, granted};
use super::{Ably, MAX_FRAME, MAX_INBOUND_RATE, render, rest};
use crate::http::State;
use crate::realtime::{Batch, End, Identity, LONGEST_CLIENT_ID, Place, Refusal, Session, Tell, Told};

/// How long either side may be silent, unless the client asks otherwise (ably-chat.md, section 3.4).
const IDLE: Duration = Duration::from_secs(15);
/// A client that wants to hear from us more rarely is pinged all the same: it may be gone.
const PINGED: Duration = Duration::from_secs(30);
const IDLE_ALLOWED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1800));
/// Around an occupancy update nothing else is written: in one segment with an echo and its ACK, the
/// SDK takes the ACK first (section 3.8).
const BEFORE_OCCUPANCY: Duration = Duration::from_millis(10);
const AFTER_OCCUPANCY: Duration = Duration::from_millis(5);
/// A client's own frame, such as an ACK, behind more than its own echo comes so much later, for the same reason.
const APART: Duration = Duration::from_millis(2);
/// So much is handed over before it is written out: what the transport's buffer grew to, it keeps.
const AT_ONCE: usize = 4096;
/// How long before its end a token's renewal is asked for.
const RENEW_BEFORE: Duration = Duration::from_secs(30);
/// So many bytes cost as much as a frame.
const BYTES_A_FRAME: usize = 16 * 1024;
/// How long a last word may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a client asks for when it connects.
struct Wish {
    presented: Option<Presented>,
    client_id: Option<String>,
    format: Format,
    resume: Option<String>,
    echo: bool,
    /// It can't see pings, and wants frames.
    heartbeats: bool,
    idle: Duration,
    remain_present_for: Option<Duration>,
}

/// `GET /` of a WebSocket.
pub async fn upgrade(
    req: HttpRequest,
    body: Payload,
    ThinData(state): ThinData<State>,
    ThinData(ably): ThinData<Ably>,
) -> Result<HttpResponse, Error> {
    if !may_connect(&req, &ably.origins) {
        return Ok(HttpResponse::Forbidden().body("this origin may not connect: see --cors-origin\n"));
    }
    let wish = wish(&req);
    let place = ably.hub.place().ok();
    let (response, socket, incoming) = actix_ws::handle(&req, body)?;
    let incoming = incoming.max_frame_size(MAX_FRAME).aggregate_continuations().max_continuation_size(MAX_FRAME);
    // A refusal goes over the open socket: of a refused upgrade, clients only see that it failed (section 2.6).
    rt::spawn(serve(Socket::new(socket, wish.format), incoming, wish, state, ably, place));
    Ok(response)
}

/// Browsers say where a page is from; a page of our own may always connect.
fn may_connect(req: &HttpRequest, origins: &[String]) -> bool {
    let header = |name| req.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = header(ORIGIN) else { return true };
    let is_own = origin.split_once("://").map(|(_, authority)| authority) == header(HOST);
    origins.is_empty() || is_own || origins.iter().any(|allowed| allowed == "*" || allowed == origin)
}

fn wish(req: &HttpRequest) -> Wish {
    let param = |name| rest::query(req, name);
    let span = |name| param(name).and_then(|text| text.parse().ok()).map(Duration::from_millis);
    Wish {
        presented: rest::in_query(req),
        client_id: param("clientId"),
        format: if param("format").as_deref() == Some("msgpack") { Format::MessagePack } else { Format::Json },
        resume: param("resume").or_else(|| param("recover")),
        echo: param("echo").as_deref() != Some("false"),
        heartbeats: param("heartbeats").as_deref() == Some("true"),
        idle: span("heartbeatInterval").map_or(IDLE, |idle| idle.clamp(IDLE_ALLOWED.0, IDLE_ALLOWED.1)),
        remain_present_for: span("remainPresentFor"),
    }
}

type Rate = RateLimiter<NotKeyed, InMemoryState, DefaultClock>;

struct Socket {
    socket: actix_ws::Session,
    format: Format,
    /// Bytes handed over since all was last written out, at most.
    unwritten: usize,
    /// Frames of channels written lately.
    crowd: u32,
    crowd_ends: Instant,
}

impl Socket {
    fn new(socket: actix_ws::Session, format: Format) -> Self {
        Self { socket, format, unwritten: 0, crowd: 0, crowd_ends: Instant::now() }
    }

    async fn write(&mut self, frame: Bytes) -> Result<(), Closed> {
        if self.unwritten + frame.len() > AT_ONCE {
            self.unwritten = 0;
            tokio::task::yield_now().await; // the transport writes meanwhile
        }
        self.unwritten += frame.len();
        match self.format {
            Format::MessagePack => self.socket.binary(frame).await,
            // JSON is UTF-8; nothing else comes here.
            Format::Json => self.socket.text(ByteString::try_from(frame).unwrap_or_default()).await,
        }
    }

    async fn say(&mut self, frame: &Outgoing<'_>) -> Result<(), Closed> {
        let frame = self.format.encode(frame);
        self.write(frame).await
    }

    async fn tell(&mut self, told: &Told) -> Result<(), Closed> {
        let format = self.format;
        self.write(told.form(format.index(), |told| render::frame(told, format))).await
    }

    async fn write_all(&mut self, batch: impl IntoIterator<Item = Tell>) -> Result<(), Closed> {
        for tell in batch {
            match tell {
                Tell::Shared(told) => {
                    let now = Instant::now();
                    self.crowd = if self.crowd_ends > now { self.crowd + 1 } else { 1 };
                    self.crowd_ends = now + APART;
                    self.tell(&told).await?;
                }
                Tell::Own(frame) => {
                    if self.crowd > 1 && self.crowd_ends > Instant::now() {
                        tokio::time::sleep(APART).await;
                    }
                    self.crowd = 0;
                    self.write(frame).await?;
                }
            }
        }
        Ok(())
    }

    /// A last frame, and the end.
    async fn end(mut self, last: Option<Outgoing<'_>>) {
        let farewell = async {
            if let Some(last) = last {
                self.say(&last).await?;
            }
            self.socket.close(None).await
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

/// From the open socket to its end.
async fn serve(
    socket: Socket,
    incoming: AggregatedMessageStream,
    wish: Wish,
    state: State,
    ably: Ably,
    place: Option<Place>,
) {
    // On its own heap, and let go of: what asks the database is ten times as large as what stays with a socket.
    let opened = Box::pin(open(&wish, &state, &ably, place)).await;
    let (session, credential, refused) = match opened {
        Ok(opened) => opened,
        Err(Denied::Refused(error)) => {
            tracing::info!(code = error.code, reason = %error.message, "a client is refused");
            return socket.end(Some(last(action::ERROR, Some(error)))).await;
        }
        Err(Denied::Unavailable) => {
            return socket.end(Some(last(action::DISCONNECTED, Some(ErrorInfo::unavailable())))).await;
        }
    };
    let (hub, keys) = (Arc::clone(&ably.hub), ably.keys.clone());
    let debt = Cell::new(0);
    let client = Client { state, keys, hub, session, credential, format: wish.format, idle: wish.idle, debt };
    client.tell_connected(refused);
    Box::pin(talk(socket, incoming, client, wish.heartbeats)).await;
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
    if matches!(&owner.identity, Identity::Client(id) if id.len() > LONGEST_CLIENT_ID) {
        let told = format!("a client id has at most {LONGEST_CLIENT_ID} bytes");
        return Err(Denied::Refused(ErrorInfo::new(40012, 400, told)));
    }
    let (session, refused) = ably.hub.open(place, owner, wish.resume.as_deref(), wish.remain_present_for, wish.echo);
    session.holds_token_of(credential.issued_at);
    // It may come back with a credential that allows less.
    session.regrant(|channel| granted(credential.on(channel)));
    Ok((session, credential, refused.map(ErrorInfo::from)))
}

/// When something is to be done that nobody asks for.
struct Times {
    idle: Duration,
    heard: Instant,
    wrote: Instant,
    renew: Option<Instant>,
    expires: Option<Instant>,
}

impl Times {
    fn new(idle: Duration, expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let start = Instant::now();
        let mut times = Self { idle, heard: start, wrote: start, renew: None, expires: None };
        times.expire(expires_at, now);
        times
    }

    fn expire(&mut self, expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let left = expires_at.map(|at| (at - now).to_std().unwrap_or_default());
        let start = Instant::now();
        // Of a short life the last third is for the renewal. A time too far to count to never comes.
        self.renew = left.and_then(|left| start.checked_add(left - RENEW_BEFORE.min(left / 3)));
        self.expires = left.and_then(|left| start.checked_add(left));
    }

    fn keep_alive(&self) -> Instant {
        self.wrote + self.idle.min(PINGED).mul_f64(0.8)
    }

    fn silent(&self) -> Instant {
        self.heard + self.patience()
    }

    /// How long a client may say nothing, or take nothing.
    fn patience(&self) -> Duration {
        2 * self.idle.min(PINGED)
    }

    async fn expired(&self) {
        match self.expires {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    fn next(&self) -> Instant {
        let token = self.renew.into_iter().chain(self.expires);
        token.chain([self.keep_alive(), self.silent()]).min().unwrap_or(self.heard)
    }
}

/// How a talk ends.
enum Ending {
    /// Without another word.
    Broken,
    /// With a last frame, and the client may come back.
    Parted(u32, Option<ErrorInfo>),
    /// For good, with a last frame.
    Closed(u32, Option<ErrorInfo>),
}

async fn talk(mut socket: Socket, mut incoming: AggregatedMessageStream, mut client: Client, heartbeats: bool) {
    let mut times = Times::new(client.idle, client.credential.expires_at, client.state.ctx.clock.now());
    let frames = Rate::direct(Quota::per_second(MAX_INBOUND_RATE));
    let mut timer = pin!(sleep_until(times.next()));
    let ending = loop {
        timer.as_mut().reset(times.next());
        // In no order: what never ends on one side must not keep the others waiting.
        tokio::select! {
            batch = client.session.outbox().next() => {
                if let Err(ending) = write(&mut socket, &client, batch, &mut times).await {
                    break ending;
                }
            }
            message = incoming.recv() => {
                times.heard = Instant::now();
                let next = match message {
                    Some(Ok(message)) => hear(&mut socket, &mut client, message, &frames, &mut times).await,
                    Some(Err(error)) => of_broken(&error),
                    None => Next::Drop,
                };
                match next {
                    Next::Goes => {}
                    Next::Close => break Ending::Closed(action::CLOSED, None),
                    Next::Fail(error) => break Ending::Closed(action::ERROR, Some(error)),
                    Next::Part(error) => break Ending::Parted(action::DISCONNECTED, Some(error)),
                    Next::Drop => break Ending::Broken,
                }
            }
            () = timer.as_mut() => {
                if let Err(ending) = on_time(&mut socket, &client, heartbeats, &mut times).await {
                    break ending;
                }
            }
        }
    };
    finish(socket, client, ending).await;
}

async fn finish(mut socket: Socket, client: Client, ending: Ending) {
    match ending {
        Ending::Broken => {
            drop(client);
            socket.end(None).await;
        }
        Ending::Parted(action, error) => {
            drop(client);
            socket.end(Some(last(action, error))).await;
        }
        Ending::Closed(action, error) => {
            // What was answered before is told before.
            if let Ok(Batch::Ordered(batch)) = timeout(Duration::ZERO, client.session.outbox().next()).await {
                let _ = timeout(FAREWELL, socket.write_all(batch)).await;
            }
            client.session.close();
            socket.end(Some(last(action, error))).await;
        }
    }
}

/// Writes what there is. A client that does not take it in time is parted from.
async fn write(socket: &mut Socket, client: &Client, batch: Batch, times: &mut Times) -> Result<(), Ending> {
    let last_wrote = times.wrote;
    let writing = async {
        match batch {
            Batch::Ordered(batch) => socket.write_all(batch).await.map_err(|_| Ending::Broken),
            Batch::Occupancy(updates) => {
                sleep_until(last_wrote + BEFORE_OCCUPANCY).await;
                socket.write_all(updates.into_iter().map(Tell::Shared)).await.map_err(|_| Ending::Broken)?;
                tokio::time::sleep(AFTER_OCCUPANCY).await;
                Ok(())
            }
            Batch::End(why) => Err(ending_of(why)),
        }
    };
    tokio::select! {
        biased;
        why = client.session.outbox().ended() => return Err(ending_of(why)),
        () = times.expired() => return Err(expired()),
        written = timeout(times.patience(), writing) => written.unwrap_or(Err(Ending::Broken))?,
    }
    times.wrote = Instant::now();
    Ok(())
}

async fn hear(
    socket: &mut Socket,
    client: &mut Client,
    message: AggregatedMessage,
    frames: &Rate,
    times: &mut Times,
) -> Next {
    // One that sends too much, or much at once, is read more slowly.
    let size = match &message {
        AggregatedMessage::Text(text) => text.len(),
        AggregatedMessage::Binary(bytes) => bytes.len(),
        _ => 0,
    };
    let cost = u32::try_from(size / BYTES_A_FRAME).unwrap_or(u32::MAX).saturating_add(client.debt.take());
    let cost = NonZeroU32::MIN.saturating_add(cost).min(MAX_INBOUND_RATE);
    while let Ok(Err(later)) = frames.check_n(cost) {
        tokio::time::sleep(later.wait_time_from(DefaultClock::default().now())).await;
    }
    let bytes = match message {
        AggregatedMessage::Text(text) => text.into_bytes(),
        AggregatedMessage::Binary(bytes) => bytes,
        AggregatedMessage::Ping(text) => {
            let ponged = timeout(FAREWELL, socket.socket.pong(&text)).await;
            return if matches!(ponged, Ok(Ok(()))) { Next::Goes } else { Next::Drop };
        }
        AggregatedMessage::Pong(_) => return Next::Goes,
        AggregatedMessage::Close(_) => return Next::Drop,
    };
    let frame = match client.format.decode(&bytes) {
        Ok(frame) => frame,
        Err(error) => {
            let Some(serial) = client.format.serial_of(&bytes) else {
                return Next::Fail(ErrorInfo::malformed(error.to_string()));
            };
            client.answer(serial, Err(Refusal::Malformed(error.to_string().into())));
            return Next::Goes;
        }
    };
    let renews = frame.action == action::AUTH;
    let next = client.handle(frame).await;
    if renews {
        times.expire(client.credential.expires_at, client.state.ctx.clock.now());
    }
    next
}

async fn on_time(socket: &mut Socket, client: &Client, heartbeats: bool, times: &mut Times) -> Result<(), Ending> {
    let now = Instant::now();
    if times.expires.is_some_and(|at| at <= now) {
        return Err(expired());
    }
    if times.silent() <= now {
        return Err(Ending::Broken);
    }
    if times.renew.is_some_and(|at| at <= now) {
        times.renew = None;
        client.say(&last(action::AUTH, None));
    }
    if times.keep_alive() <= now {
        times.wrote = now;
        if heartbeats {
            client.say(&last(action::HEARTBEAT, None));
        }
        // Its pong also tells us that the client is there.
        let pinged = timeout(FAREWELL, socket.socket.ping(b"")).await;
        return if matches!(pinged, Ok(Ok(()))) { Ok(()) } else { Err(Ending::Broken) };
    }
    Ok(())
}

fn expired() -> Ending {
    Ending::Parted(action::DISCONNECTED, Some(ErrorInfo::token_expired()))
}

fn ending_of(why: End) -> Ending {
    let parted = |code, status, told| Ending::Parted(action::DISCONNECTED, Some(ErrorInfo::new(code, status, told)));
    match why {
        End::Superseded => Ending::Broken,
        End::Overflow => parted(42910, 429, "the client reads too slowly: it may resume"),
        End::Revoked => Ending::Parted(action::DISCONNECTED, Some(ErrorInfo::token_revoked())),
        End::Stopping => parted(50003, 503, "the service is being stopped: connect again"),
    }
}

fn of_broken(error: &ProtocolError) -> Next {
    match error {
        ProtocolError::Overflow => {
            Next::Fail(ErrorInfo::new(40009, 413, format!("a frame has at most {MAX_FRAME} bytes")))
        }
        _ => Next::Drop,
    }
}

fn last(action: u32, error: Option<ErrorInfo>) -> Outgoing<'static> {
    Outgoing { action, error, ..Outgoing::default() }
}
