//! How many are in each room, as a backend asks.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::exchange::exchange;
use crate::processes::{Result, Service};

/// Asks for the rooms' `field` until it is `wanted` in every one, and gives when that was.
pub async fn until(
    service: &Service,
    rooms: impl Iterator<Item = String>,
    field: &str,
    wanted: u64,
    patience: Duration,
) -> Result<Instant> {
    let key = STANDARD.encode(service.says("ablyKey")?);
    let mut stream = TcpStream::connect(service.address).await?;
    let mut buffer = Vec::with_capacity(4096);
    let began = Instant::now();
    let mut exact = began;
    for room in rooms {
        let request = format!(
            "GET /chat/v4/rooms/{room}/occupancy HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {key}\r\n\r\n",
            service.address
        );
        loop {
            let (found, body) = exchange(&mut stream, request.as_bytes(), &mut buffer).await?;
            let body: Value = serde_json::from_slice(body)?;
            exact = Instant::now();
            if found && body[field] == wanted {
                break;
            }
            if began.elapsed() > patience {
                return Err(format!("{room} has not {wanted} {field} after {patience:?}: {body}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(exact)
}
