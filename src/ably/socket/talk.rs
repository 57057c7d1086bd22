//! The loop of an open socket: reads, writes and keeps alive until it ends.

use std::io;
use std::pin::pin;
use std::time::Duration;

use actix_http::ws::{CloseCode, CloseReason};
use tokio::time::{Instant, sleep_until, timeout};

use super::inbox::Inbox;
use super::times::Times;
use super::writer::Socket;
use super::{AFTER_OCCUPANCY, BEFORE_OCCUPANCY, FAREWELL, last};
use crate::ably::error::ErrorInfo;
use crate::ably::frame::action;
use crate::ably::session::{Client, Next};
use crate::ably::{MAX_FRAME, MAX_INBOUND_RATE};
use crate::net::web_socket::{Message, ReadError, Reader};
use crate::realtime::{Batch, End, Refusal, Tell};

/// How a socket ends.
pub struct Ending {
    /// A last frame.
    last: Option<(u32, Option<ErrorInfo>)>,
    /// Why the WebSocket is closed (docs/live-connections.md, Close codes).
    close: Option<CloseReason>,
    /// The client does not come back to this connection.
    is_final: bool,
}

impl Ending {
    /// Without a last frame. The client may come back.
    fn broken(code: CloseCode) -> Self {
        Self { last: None, close: Some(code.into()), is_final: false }
    }

    /// As the client closed it: it hears the same code.
    fn echoed(close: Option<CloseReason>) -> Self {
        let echo = |reason: CloseReason| match u16::from(reason.code) {
            1004..=1006 | 1015 | ..1000 => CloseCode::Protocol.into(), // no such code may be sent
            _ => CloseReason::from(reason.code),
        };
        Self { last: None, close: close.map(echo), is_final: false }
    }

    fn disconnected(code: CloseCode, error: ErrorInfo) -> Self {
        Self { last: Some((action::DISCONNECTED, Some(error))), close: Some(code.into()), is_final: false }
    }

    fn closed() -> Self {
        Self { last: Some((action::CLOSED, None)), close: Some(CloseCode::Normal.into()), is_final: true }
    }

    fn failed(code: CloseCode, error: ErrorInfo) -> Self {
        Self { last: Some((action::ERROR, Some(error))), close: Some(code.into()), is_final: true }
    }

    fn expired() -> Self {
        Self::disconnected(CloseCode::Policy, ErrorInfo::token_expired())
    }

    fn of(why: End) -> Self {
        match why {
            End::Superseded => Self::broken(CloseCode::Normal),
            End::Overflow => {
                let error = ErrorInfo::new(42910, 429, "the client reads too slowly: it may resume");
                Self::disconnected(CloseCode::Policy, error)
            }
            End::Revoked => Self::disconnected(CloseCode::Policy, ErrorInfo::token_revoked()),
            End::Stopping => {
                let error = ErrorInfo::new(50003, 503, "the service is being stopped: connect again");
                Self::disconnected(CloseCode::Away, error)
            }
        }
    }

    /// Of what can't be read from the socket.
    pub fn of_error(error: ReadError) -> Self {
        match error {
            ReadError::TooLarge => {
                let told = format!("a frame has at most {MAX_FRAME} bytes");
                Self::failed(CloseCode::Size, ErrorInfo::new(40009, 413, told))
            }
            ReadError::NoMemory => {
                let told = "the service has no memory for messages that arrive so slowly: connect again";
                Self::disconnected(CloseCode::Again, ErrorInfo::new(42910, 429, told))
            }
            ReadError::NotUtf8 => Self::broken(CloseCode::Invalid),
            ReadError::Protocol => Self::broken(CloseCode::Protocol),
            ReadError::Gone => Self::broken(CloseCode::Normal), // nobody hears it
        }
    }
}

pub async fn talk(mut socket: Socket, mut incoming: Reader, mut client: Client, heartbeats: bool) {
    let mut times = Times::new(client.idle, client.credential.expires_at, client.state.ctx.clock.now());
    let mut inbox = Inbox::new(MAX_INBOUND_RATE);
    let mut timer = pin!(sleep_until(times.next()));
    let ending = loop {
        timer.as_mut().reset(inbox.due().map_or(times.next(), |due| due.min(times.next())));
        // In no order: what never ends on one side must not keep the others waiting.
        let done = tokio::select! {
            batch = client.session.outbox().next() => {
                write(&mut socket, &mut incoming, &mut inbox, &client, batch, &mut times).await
            }
            // A client that does not take its answers gets no further ones: they would wait here.
            message = incoming.next(), if inbox.is_empty() && !client.session.outbox().is_behind() => {
                inbox.receive(message, &mut times)
            }
            admission = client.admissions.next() => {
                client.finish_attach(admission);
                Ok(())
            }
            () = timer.as_mut() => {
                on_time(&mut socket, &mut incoming, &mut inbox, &client, heartbeats, &mut times).await
            }
        };
        let done = match done {
            Ok(()) => handle(&mut socket, &mut incoming, &mut inbox, &mut client, &mut times).await,
            ended => ended,
        };
        if let Err(ending) = done {
            break ending;
        }
    };
    finish(socket, incoming, client, ending).await;
}

async fn finish(mut socket: Socket, mut incoming: Reader, client: Client, ending: Ending) {
    if ending.is_final {
        // Earlier answers are written first.
        if let Ok(Batch::Ordered(batch)) = timeout(Duration::ZERO, client.session.outbox().next()).await {
            let _ = timeout(FAREWELL, socket.write_all(batch)).await;
        }
        client.session.close();
    } else {
        drop(client);
    }
    let last = ending.last.map(|(action, error)| last(action, error));
    socket.end(&mut incoming, last, ending.close).await;
}

/// Writes what there is.
async fn write(
    socket: &mut Socket,
    incoming: &mut Reader,
    inbox: &mut Inbox,
    client: &Client,
    batch: Batch,
    times: &mut Times,
) -> Result<(), Ending> {
    let last_wrote = times.wrote;
    let writing = async {
        match batch {
            Batch::Ordered(batch) => socket.write_all(batch).await,
            Batch::Occupancy(updates) => {
                sleep_until(last_wrote + BEFORE_OCCUPANCY).await;
                socket.write_all(updates.into_iter().map(Tell::Shared)).await?;
                tokio::time::sleep(AFTER_OCCUPANCY).await;
                Ok(())
            }
            Batch::End(_) => Ok(()), // which ends the wait for it
        }
    };
    written(writing, incoming, inbox, client, times).await?;
    client.session.outbox().written();
    times.wrote = Instant::now();
    Ok(())
}

/// Waits until something is written, for as long as the client shows signs of life and takes some of it.
async fn written(
    writing: impl Future<Output = io::Result<()>>,
    incoming: &mut Reader,
    inbox: &mut Inbox,
    client: &Client,
    times: &mut Times,
) -> Result<(), Ending> {
    let outbox = client.session.outbox();
    let mut writing = pin!(timeout(times.patience(), writing));
    loop {
        tokio::select! {
            biased;
            why = outbox.ended() => return Err(Ending::of(why)),
            () = times.expired() => return Err(Ending::expired()),
            written = writing.as_mut() => {
                return match written {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(Ending::broken(CloseCode::Normal)),
                    Err(_) => Err(Ending::broken(CloseCode::Policy)),
                };
            }
            // A client that takes long to read may send something meanwhile, such as a pong.
            message = incoming.next(), if inbox.is_empty() && !outbox.is_behind() => inbox.receive(message, times)?,
            () = sleep_until(times.silent()) => return Err(Ending::broken(CloseCode::Policy)),
        }
    }
}

/// Handles what was received, as far as it does not have to wait.
async fn handle(
    socket: &mut Socket,
    incoming: &mut Reader,
    inbox: &mut Inbox,
    client: &mut Client,
    times: &mut Times,
) -> Result<(), Ending> {
    let Some(message) = inbox.take_message(client.debt.get()) else {
        return handle_frame(inbox, client, times).await;
    };
    client.debt.set(0);
    let bytes = match message {
        Message::Text(bytes) | Message::Binary(bytes) => bytes,
        Message::Ping(payload) => return written(socket.pong(payload), incoming, inbox, client, times).await,
        Message::Pong => return Ok(()),
        Message::Close(reason) => return Err(Ending::echoed(reason)),
    };
    match client.format.decode(&bytes) {
        Ok(frame) => inbox.hold(Box::new(frame)),
        Err(error) => match client.format.serial_of(&bytes) {
            Some(serial) => client.answer(serial, Err(Refusal::Malformed(error.to_string().into()))),
            None => return Err(Ending::failed(CloseCode::Invalid, ErrorInfo::malformed(error.to_string()))),
        },
    }
    handle_frame(inbox, client, times).await
}

async fn handle_frame(inbox: &mut Inbox, client: &mut Client, times: &mut Times) -> Result<(), Ending> {
    let Some(frame) = inbox.take_frame(|frame| client.admissions.delay(frame)) else { return Ok(()) };
    let renews = frame.action == action::AUTH;
    match client.handle(*frame).await {
        Next::Continue if renews => times.expire(client.credential.expires_at, client.state.ctx.clock.now()),
        Next::Continue => {}
        Next::Wait(frame, wait) => inbox.hold_until(frame, Instant::now() + wait),
        Next::RenewLater(wait) => times.renew = Some(Instant::now() + wait),
        Next::Close => return Err(Ending::closed()),
        Next::Drop => return Err(Ending::broken(CloseCode::Normal)),
        Next::Fail(error) => return Err(Ending::failed(CloseCode::Policy, error)),
        Next::Part(error) => return Err(Ending::disconnected(CloseCode::Policy, error)),
    }
    Ok(())
}

async fn on_time(
    socket: &mut Socket,
    incoming: &mut Reader,
    inbox: &mut Inbox,
    client: &Client,
    heartbeats: bool,
    times: &mut Times,
) -> Result<(), Ending> {
    let now = Instant::now();
    if times.expires.is_some_and(|at| at <= now) {
        return Err(Ending::expired());
    }
    if times.silent() <= now {
        return Err(Ending::broken(CloseCode::Policy));
    }
    if times.renew.is_some_and(|at| at <= now) {
        times.renew = None;
        client.say(&last(action::AUTH, None));
    }
    if times.ping() <= now {
        times.pinged = now;
        if heartbeats {
            client.say(&last(action::HEARTBEAT, None));
        }
        // Also to who sees no pings: its pong tells that the client is there.
        written(socket.ping(), incoming, inbox, client, times).await?;
    }
    Ok(())
}
