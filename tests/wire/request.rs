//! A request, byte for byte as a test wants it, signed as the clients sign.

use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Answer, KEY};

pub struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    host: String,
    date: String,
    key: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    signed: bool,
    check: Option<Check>,
}

/// Looks at each answer, with the method and the target of its request.
pub type Check = fn(&str, &str, &Answer);

impl Request {
    /// A signed request. The api-version is added unless the path has a query of its own.
    pub fn new(address: SocketAddr, now: DateTime<Utc>, method: &str, path: &str) -> Self {
        let version = if path.starts_with("/identities") { "2023-10-01" } else { "2025-03-13" };
        let target = if path.contains('?') { path.to_owned() } else { format!("{path}?api-version={version}") };
        Self {
            address,
            method: method.to_owned(),
            target,
            host: address.to_string(),
            date: http_date(now),
            key: KEY.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            signed: true,
            check: None,
        }
    }

    /// Has the answer checked as it is read.
    pub fn checked(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// A body of JSON, with the media type that the clients send.
    pub fn json(self, body: &Value) -> Self {
        let kind = if self.method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        self.header("Content-Type", kind).body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn host(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    pub fn key(mut self, key: &str) -> Self {
        self.key = key.to_owned();
        self
    }

    pub fn date(mut self, date: &str) -> Self {
        self.date = date.to_owned();
        self
    }

    /// Leaves the signature to the test, or to nobody.
    pub fn unsigned(mut self) -> Self {
        self.signed = false;
        self
    }

    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// Fails if there is nobody who answers, or not to the end.
    pub async fn try_send(self) -> io::Result<Answer> {
        let wire = self.wire();
        let mut stream = TcpStream::connect(self.address).await?;
        // A server that refuses a large body does not read it to its end.
        let sent = stream.write_all(&wire).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        if !answer.windows(4).any(|w| w == b"\r\n\r\n") {
            sent.and(read)?;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let answer = Answer::read(&answer);
        if let Some(check) = self.check {
            check(&self.method, &self.target, &answer);
        }
        Ok(answer)
    }

    fn wire(&self) -> Vec<u8> {
        let Self { method, target, host, date, key, body, .. } = self;
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        if !self.headers.iter().any(|(name, _)| name == "Connection") {
            add("Connection", "close");
        }
        if self.signed {
            let content_hash = hash(body);
            let signature = sign(key, &format!("{method}\n{target}\n{date};{host};{content_hash}"));
            add("x-ms-date", date);
            add("x-ms-content-sha256", &content_hash);
            add("Authorization", &authorization(&signature));
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        if !body.is_empty()
            && !self.headers.iter().any(|(name, _)| name == "Content-Length" || name == "Transfer-Encoding")
        {
            add("Content-Length", &body.len().to_string());
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }
}

pub fn authorization(signature: &str) -> String {
    format!("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}")
}

/// What x-ms-content-sha256 carries.
pub fn hash(body: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(body))
}

pub fn sign(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(key).unwrap()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

pub fn http_date(at: DateTime<Utc>) -> String {
    httpdate::fmt_http_date(at.into())
}
