//! Reading a request's body, bounded in size and time.

use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
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
}

/// The whole body, as received. It stays in the request for whoever reads it next.
pub async fn read(req: &mut ServiceRequest) -> Result<Bytes, BodyError> {
    // The payload of an upgrade does not end.
    if req.head().upgrade() {
        return Ok(Bytes::new());
    }
    let mut payload = req.take_payload();
    let body = tokio::time::timeout(PATIENCE, collect(&mut payload)).await.map_err(|_| BodyError::TooSlow)??;
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
