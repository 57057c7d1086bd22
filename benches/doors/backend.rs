//! A backend that makes users and rooms, and says who may be in them.

use std::time::Instant;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::exchange::exchange;
use crate::processes::{Result, Service};
use crate::signing::Signer;

/// A backend with one connection, kept alive.
pub struct Backend {
    signer: Signer,
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A user, by its raw id and with a token for live rooms.
pub struct User {
    pub id: String,
    pub token: String,
}

impl Backend {
    pub async fn connect(service: &Service) -> Result<Self> {
        let stream = TcpStream::connect(service.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { signer: Signer::new(service)?, stream, buffer: Vec::with_capacity(4096) })
    }

    pub async fn user(&mut self) -> Result<User> {
        let wanted = json!({ "createTokenWithScopes": ["chat"] });
        let (made, _) = self.ask("POST", "/identities?api-version=2023-10-01", &wanted).await?;
        Ok(User { id: text(&made["identity"]["id"])?, token: text(&made["accessToken"]["token"])? })
    }

    /// Makes a room with a roster, and gives its id.
    pub async fn room(&mut self, participants: Value) -> Result<String> {
        let wanted = json!({ "participants": participants });
        text(&self.ask("POST", "/rooms?api-version=2025-03-13", &wanted).await?.0["id"])
    }

    /// Makes a room that has a name.
    pub async fn named_room(&mut self, name: &str, participants: Value) -> Result<()> {
        let wanted = json!({ "participants": participants });
        self.ask("PUT", &format!("/rooms/by-name/{name}?api-version=2025-03-13"), &wanted).await?;
        Ok(())
    }

    /// Changes a room's roster, and gives when the answer was read to its end.
    pub async fn patch(&mut self, room: &str, participants: Value) -> Result<Instant> {
        let target = format!("/rooms/{room}/participants?api-version=2025-03-13");
        Ok(self.ask("PATCH", &target, &json!({ "participants": participants })).await?.1)
    }

    async fn ask(&mut self, method: &str, target: &str, body: &Value) -> Result<(Value, Instant)> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = self.signer.request(method, target, &format!("Content-Type: {kind}\r\n"), &body.to_string());
        let (is_done, answer) = exchange(&mut self.stream, &request, &mut self.buffer).await?;
        let read = Instant::now();
        if !is_done {
            return Err(format!("{method} {target}: {}", String::from_utf8_lossy(answer)).into());
        }
        Ok((serde_json::from_slice(answer)?, read))
    }
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().ok_or("an answer of another form")?.to_owned())
}
