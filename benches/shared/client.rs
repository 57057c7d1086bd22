//! A user in live rooms, who reads every frame and knows when it came.

#![allow(dead_code, reason = "not every bench goes into managed rooms")]

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::processes::{Result, Service};
use crate::socket;

pub struct Client {
    socket: WebSocketStream<TcpStream>,
    /// Of its next frame that is acknowledged.
    serial: u64,
}

/// What is looked at of a frame.
#[derive(Debug, Deserialize)]
pub struct Frame {
    pub action: u32,
    pub channel: Option<String>,
    pub error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
pub struct Refusal {
    pub code: u32,
}

const HEARTBEAT: u32 = 0;
pub const ACK: u32 = 1;
pub const NACK: u32 = 2;
const ERROR: u32 = 9;
const ATTACHED: u32 = 11;
const DETACHED: u32 = 13;
pub const MESSAGE: u32 = 15;

/// The code for who is not on the roster.
const NOT_ON_ROSTER: u32 = 40320;
/// How long anything may take before a run is given up.
const PATIENCE: Duration = Duration::from_secs(10);

impl Client {
    pub async fn connect(service: &Service, token: &str) -> Result<Self> {
        let (socket, _) = socket::connect(service, &format!("access_token={token}")).await?;
        Ok(Self { socket, serial: 0 })
    }

    /// The same with the key of a backend, as a query has it.
    pub async fn connect_with_key(service: &Service, key: &str) -> Result<Self> {
        let (socket, _) = socket::connect(service, &format!("key={key}&clientId=live")).await?;
        Ok(Self { socket, serial: 0 })
    }

    /// Attaches to a room with the modes that `@ably/chat` asks for, and gives how long it took.
    pub async fn attach(&mut self, room: &str) -> Result<Duration> {
        self.ask(format!(r#"{{"action":10,"channel":"{room}::$chat","flags":3080192}}"#), ATTACHED).await
    }

    /// Attaches to be told of occupancy, too, and is present. What comes of it is told by an ACK or a NACK.
    pub async fn go_into(&mut self, room: &str) -> Result<()> {
        let params = r#"{"occupancy":"metrics"}"#;
        self.send(format!(r#"{{"action":10,"channel":"{room}::$chat","flags":3080192,"params":{params}}}"#)).await?;
        let (serial, presence) = (self.next_serial(), r#"[{"action":2}]"#);
        self.send(format!(r#"{{"action":14,"channel":"{room}::$chat","msgSerial":{serial},"presence":{presence}}}"#))
            .await
    }

    pub async fn detach(&mut self, room: &str) -> Result<Duration> {
        self.ask(format!(r#"{{"action":12,"channel":"{room}::$chat"}}"#), DETACHED).await
    }

    /// Sends a frame that is only sent back, and gives how long it took.
    pub async fn beat(&mut self) -> Result<Duration> {
        self.ask(r#"{"action":0,"id":"beat"}"#.to_owned(), HEARTBEAT).await
    }

    /// Publishes a message, and does not wait for its ACK.
    pub async fn say(&mut self, room: &str) -> Result<()> {
        let serial = self.next_serial();
        let messages = r#"[{"name":"chat.message","data":{"text":"hello"}}]"#;
        self.send(format!(r#"{{"action":15,"channel":"{room}::$chat","msgSerial":{serial},"messages":{messages}}}"#))
            .await
    }

    /// The next frame, and when it came.
    pub async fn next(&mut self) -> Result<(Instant, Frame)> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await? {
                Some(Ok(Message::Text(text))) => return Ok((Instant::now(), serde_json::from_str(&text)?)),
                Some(Ok(Message::Ping(_))) => {} // its answer goes out by itself
                ended => return Err(format!("ended: {ended:?}").into()),
            }
        }
    }

    /// What comes in so long a time.
    pub async fn hear(&mut self, span: Duration) -> Result<Vec<Frame>> {
        let until = tokio::time::Instant::now() + span;
        let mut heard = Vec::new();
        while let Ok(frame) = timeout_at(until, self.next()).await {
            heard.push(frame?.1);
        }
        Ok(heard)
    }

    /// Sends a frame, and gives how long it took until one with that action came.
    async fn ask(&mut self, frame: String, answer: u32) -> Result<Duration> {
        let sent = Instant::now();
        self.send(frame).await?;
        loop {
            let (came, frame) = self.next().await?;
            if frame.action == answer {
                return Ok(came - sent);
            }
            frame.is_good()?;
        }
    }

    async fn send(&mut self, frame: String) -> Result<()> {
        Ok(self.socket.send(Message::text(frame)).await?)
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial - 1
    }
}

impl Frame {
    /// Whether it says that its reader is not on the roster of a channel's room, and outside.
    pub fn is_removal(&self, channel: &str) -> bool {
        let code = self.error.as_ref().map(|error| error.code);
        (self.action, code, self.channel.as_deref()) == (ERROR, Some(NOT_ON_ROSTER), Some(channel))
    }

    /// That it refuses nothing.
    pub fn is_good(&self) -> Result<()> {
        if matches!(self.action, NACK | ERROR) || self.error.is_some() {
            return Err(format!("not to be trusted: {self:?}").into());
        }
        Ok(())
    }
}
