//! Reading a request's body, bounded in size and time, and for the node in memory.

use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::HttpRequest;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use actix_web::web::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _};

use super::budget::{BodyBudget, Exhausted, Taken};
use crate::net::{self, Connection};

/// The largest body (acs-rooms.md, section 7).
pub const LIMIT: usize = 1024 * 1024;
/// The largest body of a refused request that is read all the same.
const SKIPPED: usize = 16 * 1024;
/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no body to work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    TooLarge,
    TooSlow,
    /// The connection broke off, or the framing is wrong.
    Broken,
    /// What follows is a WebSocket, and no body.
    WebSocket,
    /// The bodies of other requests use all memory that bodies may.
    NoMemory,
}

impl From<Exhausted> for BodyError {
    fn from(_: Exhausted) -> Self {
        Self::NoMemory
    }
}

/// Checks what the head says of the body, of which nothing is read. An upgrade to something else than a WebSocket,
/// which some clients offer with every request, has a body like any other.
///
/// # Errors
/// A WebSocket would follow, or more than `limit`.
pub fn check_head(req: &HttpRequest, limit: usize) -> Result<(), BodyError> {
    let is_web_socket = |to: &HeaderValue| to.as_bytes().to_ascii_lowercase().windows(9).any(|w| w == b"websocket");
    if req.headers().get_all(UPGRADE).any(is_web_socket) {
        return Err(BodyError::WebSocket); // that payload does not end
    }
    match declared_length(req) {
        Some(length) if length > limit => Err(BodyError::TooLarge),
        _ => Ok(()),
    }
}

/// True if the head announces a body, which a refusal may leave unread on the connection.
pub fn is_announced(req: &HttpRequest) -> bool {
    req.headers().contains_key(TRANSFER_ENCODING) || declared_length(req).is_some_and(|length| length > 0)
}

/// The body that a request announces, as its connection has to know it.
pub fn announced(req: &HttpRequest) -> Option<net::Body> {
    if req.headers().contains_key(TRANSFER_ENCODING) {
        return Some(net::Body::Chunked);
    }
    declared_length(req).map(|length| net::Body::Length(length as u64))
}

fn declared_length(req: &HttpRequest) -> Option<usize> {
    req.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// The whole body, as received, and what it takes of the budget. The body stays in the request for whoever reads it
/// next.
///
/// # Errors
/// It does not arrive whole, or there is no memory for it.
pub async fn read(req: &mut ServiceRequest, budget: &BodyBudget) -> Result<(Bytes, Taken), BodyError> {
    let (connection, mut payload) = (super::connection(req.request()).cloned(), req.take_payload());
    let (body, taken) = receive(&mut payload, LIMIT, budget, connection.as_deref()).await?;
    req.set_payload(Payload::from(body.clone()));
    Ok((body, taken))
}

/// Reads a payload to its end, up to `limit` bytes. What it takes of the budget has to live as long as the body.
///
/// # Errors
/// It does not arrive whole, or there is no memory for it.
pub async fn receive(
    payload: &mut Payload,
    limit: usize,
    budget: &BodyBudget,
    connection: Option<&Connection>,
) -> Result<(Bytes, Taken), BodyError> {
    // Until then the socket is not read.
    connection.inspect(|connection| connection.body_begins());
    let body = tokio::time::timeout(PATIENCE, collect(payload, limit, budget)).await;
    let body = body.map_err(|_| BodyError::TooSlow)??;
    connection.inspect(|connection| connection.body_ends());
    Ok(body)
}

/// Reads the body of a request that is refused, and drops it. False if it is too large for that.
pub async fn skip(req: &mut ServiceRequest, budget: &BodyBudget) -> bool {
    if !is_announced(req.request()) {
        return true;
    }
    let Some(length) = declared_length(req.request()).filter(|length| *length <= SKIPPED) else { return false };
    let (connection, mut payload) = (super::connection(req.request()).cloned(), req.take_payload());
    // It mostly came with the head, and needs no timer.
    if let Some(Some(Ok(chunk))) = payload.next().now_or_never()
        && chunk.len() == length
    {
        connection.inspect(|connection| connection.body_ends());
        return true;
    }
    receive(&mut payload, SKIPPED, budget, connection.as_deref()).await.is_ok()
}

async fn collect(payload: &mut Payload, limit: usize, budget: &BodyBudget) -> Result<(Bytes, Taken), BodyError> {
    let (mut body, mut taken) = (BytesMut::new(), budget.start());
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| match e {
            PayloadError::Overflow => BodyError::TooLarge,
            _ => BodyError::Broken,
        })?;
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge);
        }
        taken.add(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), taken))
}

#[cfg(test)]
mod tests {
    use futures_util::{Stream, stream};

    use super::*;

    type Part = Result<Bytes, PayloadError>;

    fn payload(parts: impl Stream<Item = Part> + 'static) -> Payload {
        Payload::Stream { payload: Box::pin(parts) }
    }

    async fn error(parts: impl Stream<Item = Part> + 'static, budget: &BodyBudget) -> Option<BodyError> {
        receive(&mut payload(parts), LIMIT, budget, None).await.err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_given_up() {
        assert_eq!(error(stream::pending(), &BodyBudget::new(LIMIT)).await, Some(BodyError::TooSlow));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_told() {
        let parts = [Ok(Bytes::from_static(b"{")), Err(PayloadError::Incomplete(None))];

        assert_eq!(error(stream::iter(parts), &BodyBudget::new(LIMIT)).await, Some(BodyError::Broken));
    }

    #[tokio::test]
    async fn a_body_takes_memory_as_it_arrives_and_gives_it_back() {
        let budget = BodyBudget::new(5);
        let parts = |n| stream::iter((0..n).map(|_| Ok(Bytes::from_static(b"abc"))));

        let (body, taken) = receive(&mut payload(parts(1)), LIMIT, &budget, None).await.unwrap();
        assert_eq!((&body[..], budget.left()), (&b"abc"[..], 2));
        assert_eq!(error(parts(1), &budget).await, Some(BodyError::NoMemory));
        drop(taken);
        assert_eq!(error(parts(2), &budget).await, Some(BodyError::NoMemory));
        assert_eq!(budget.left(), 5);
    }
}
