//! Reading a request's body, bounded in size and time.

use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header::{HeaderValue, UPGRADE};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;

/// The largest body (acs-rooms.md, section 7).
pub const LIMIT: usize = 1024 * 1024;
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
}

/// The whole body, as received. It stays in the request for whoever reads it next. An upgrade to
/// something else than a WebSocket, which some clients offer with every request, has a body like any other.
pub async fn read(req: &mut ServiceRequest) -> Result<Bytes, BodyError> {
    let is_web_socket = |to: &HeaderValue| to.as_bytes().to_ascii_lowercase().windows(9).any(|w| w == b"websocket");
    if req.headers().get_all(UPGRADE).any(is_web_socket) {
        return Err(BodyError::WebSocket); // that payload does not end
    }
    if let Some(connection) = super::connection(req.request()) {
        connection.body_begins();
    }
    let mut payload = req.take_payload();
    let body = tokio::time::timeout(PATIENCE, collect(&mut payload)).await.map_err(|_| BodyError::TooSlow)??;
    if let Some(connection) = super::connection(req.request()) {
        connection.body_ends();
    }
    req.set_payload(Payload::from(body.clone()));
    Ok(body)
}

async fn collect(payload: &mut Payload) -> Result<Bytes, BodyError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| match e {
            PayloadError::Overflow => BodyError::TooLarge,
            _ => BodyError::Broken,
        })?;
        if body.len() + chunk.len() > LIMIT {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let mut req = TestRequest::post().to_srv_request();
        req.set_payload(Payload::Stream { payload: Box::pin(stream::pending()) });

        assert_eq!(read(&mut req).await, Err(BodyError::TooSlow));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_told() {
        let mut req = TestRequest::post().to_srv_request();
        let parts = [Ok(Bytes::from_static(b"{")), Err(PayloadError::Incomplete(None))];
        req.set_payload(Payload::Stream { payload: Box::pin(stream::iter(parts)) });

        assert_eq!(read(&mut req).await, Err(BodyError::Broken));
    }
}
