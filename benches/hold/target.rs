//! The service that is attacked, and what attackers and honest clients know of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use roomkeeper::clock::Clock;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::asks;
use crate::exchange::exchange;
use crate::processes::{Result, Service};
use crate::signing::Signer;

/// More than a page.
const ROOMS: usize = 100;
const HOUR: Duration = Duration::from_secs(3600);
/// No key of the service.
const WRONG_KEY: &str = "d3Jvbmcta2V5LWZvci1iZW5jaGVzLTAwMDA=";

pub struct Target<'s> {
    pub service: &'s Service,
    pub address: SocketAddr,
    pub https: SocketAddr,
    pub ca_file: PathBuf,
    /// Signs as the service wants it, and as it does not.
    pub signer: Signer,
    pub forger: Signer,
    /// One of the rooms.
    pub room: i64,
}

impl<'s> Target<'s> {
    /// Fills the service with rooms.
    pub fn prepare(service: &'s Service) -> Result<Self> {
        let address = service.address;
        let https = service.says("https")?;
        let signer = Signer::new(service)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let room = runtime.block_on(fill(address, &signer))?;
        Ok(Self {
            service,
            address,
            https: https.strip_prefix("https://").unwrap_or(https).parse()?,
            ca_file: service.says("caFile")?.into(),
            signer,
            forger: Signer::with(WRONG_KEY, address)?,
            room,
        })
    }

    pub fn resident_mib(&self) -> Result<f64> {
        Ok(self.service.memory_kib("VmRSS")? as f64 / 1024.0)
    }

    /// A token for live rooms, as a backend signs it.
    pub fn token(&self, client: &str) -> Result<String> {
        let (name, secret) = self.service.says("ablyKey")?.split_once(':').ok_or("a key of another form")?;
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(name.to_owned());
        let now = Clock::system().now().timestamp();
        let ends = now + i64::try_from(HOUR.as_secs())?;
        let claims = json!({
            "iat": now, "exp": ends, "x-ably-clientId": client, "x-ably-capability": r#"{"*":["*"]}"#,
        });
        Ok(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes()))?)
    }

    /// The query of a WebSocket that has such a token.
    pub fn credential(&self, client: &str) -> Result<String> {
        Ok(format!("access_token={}", self.token(client)?))
    }

    /// The same with the key of the backend.
    pub fn key(&self) -> Result<String> {
        let key: String = form_urlencoded::byte_serialize(self.service.says("ablyKey")?.as_bytes()).collect();
        Ok(format!("key={key}&clientId=backend"))
    }

    /// A request that nobody signed, with more headers, each with its end of line.
    pub fn plain(&self, method: &str, path: &str, headers: &str) -> Vec<u8> {
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address).into_bytes()
    }
}

/// Makes rooms, and gives the id of the last.
async fn fill(address: SocketAddr, signer: &Signer) -> Result<i64> {
    let (mut stream, mut buffer) = (TcpStream::connect(address).await?, Vec::new());
    let mut room = 0;
    for _ in 0..ROOMS {
        let (_, request) = asks::create(signer);
        let (is_done, body) = exchange(&mut stream, &request, &mut buffer).await?;
        let made: Value = serde_json::from_slice(body)?;
        if !is_done {
            return Err(format!("no room: {made}").into());
        }
        room = made["id"].as_str().ok_or("a room without an id")?.parse()?;
    }
    Ok(room)
}
