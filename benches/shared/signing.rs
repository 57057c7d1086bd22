//! Whole requests, signed with the access key of the service.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use roomkeeper::clock::Clock;
use sha2::{Digest as _, Sha256};

use crate::processes::{Result, Service};

/// Signs for a quarter of an hour, which is how long the service takes a date.
pub struct Signer {
    mac: Hmac<Sha256>,
    host: SocketAddr,
    /// When it was made, as HTTP writes it.
    pub date: String,
}

impl Signer {
    pub fn new(service: &Service) -> Result<Self> {
        Self::with(service.says("accessKey")?, service.address)
    }

    /// For whoever else checks signatures as the service does; the key is in base64.
    pub fn with(key: &str, host: SocketAddr) -> Result<Self> {
        let key = STANDARD.decode(key)?;
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap_or_else(|_| unreachable!("any length will do"));
        let date = httpdate::fmt_http_date(Clock::system().now().into());
        Ok(Self { mac, host, date })
    }

    /// A request with what it has of headers besides the usual, each with its end of line.
    pub fn request(&self, method: &str, target: &str, headers: &str, body: &str) -> Vec<u8> {
        let Self { mac, host, date } = self;
        let hash = STANDARD.encode(Sha256::digest(body));
        let text = format!("{method}\n{target}\n{date};{host};{hash}");
        let signature = STANDARD.encode(mac.clone().chain_update(text).finalize().into_bytes());
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nx-ms-date: {date}\r\nx-ms-content-sha256: {hash}\r\n\
             Authorization: HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}\r\n\
             {headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}
