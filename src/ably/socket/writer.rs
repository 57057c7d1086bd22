//! Writing to a socket: in the client's format, and apart where that matters.

use std::io;

use actix_http::ws::CloseReason;
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{APART, AT_ONCE, FAREWELL};
use crate::ably::codec::Format;
use crate::ably::frame::Outgoing;
use crate::ably::render;
use crate::net::web_socket::{Reader, Writer};
use crate::realtime::{Heard, Tell};

pub struct Socket {
    writer: Writer,
    format: Format,
    /// Frames of channels written lately.
    crowd: u32,
    crowd_ends: Instant,
}

impl Socket {
    pub fn new(writer: Writer, format: Format) -> Self {
        Self { writer, format, crowd: 0, crowd_ends: Instant::now() }
    }

    /// Adds a frame to what is to be written, and writes when that is much.
    async fn write(&mut self, frame: Bytes) -> io::Result<()> {
        self.writer.feed(frame, self.format == Format::Json);
        if self.writer.unwritten() >= AT_ONCE { self.writer.flush().await } else { Ok(()) }
    }

    async fn tell(&mut self, heard: &Heard) -> io::Result<()> {
        let format = self.format;
        self.write(heard.form(format.index(), |heard| render::frame(heard, format))).await
    }

    pub async fn write_all(&mut self, batch: impl IntoIterator<Item = Tell>) -> io::Result<()> {
        for tell in batch {
            match tell {
                Tell::Shared(heard) => {
                    let now = Instant::now();
                    self.crowd = if self.crowd_ends > now { self.crowd + 1 } else { 1 };
                    self.crowd_ends = now + APART;
                    self.tell(&heard).await?;
                }
                Tell::Own(frame) => {
                    if self.crowd > 1 && self.crowd_ends > Instant::now() {
                        self.writer.flush().await?;
                        tokio::time::sleep(APART).await;
                    }
                    self.crowd = 0;
                    self.write(frame).await?;
                }
            }
        }
        self.writer.flush().await
    }

    pub async fn ping(&mut self) -> io::Result<()> {
        self.writer.feed_ping();
        self.writer.flush().await
    }

    pub async fn pong(&mut self, payload: Bytes) -> io::Result<()> {
        self.writer.feed_pong(payload);
        self.writer.flush().await
    }

    /// A last frame, and the end with its reason. What the client still sends is read, as it might lose the last frame
    /// otherwise; one that does not take it in time loses it.
    pub async fn end(mut self, incoming: &mut Reader, last: Option<Outgoing<'_>>, close: Option<CloseReason>) {
        let farewell = async {
            if let Some(last) = last {
                self.writer.feed(self.format.encode(&last), self.format == Format::Json);
            }
            self.writer.feed_close(close);
            self.writer.flush().await?;
            self.writer.shut_down().await
        };
        match timeout(FAREWELL, farewell).await {
            Ok(Ok(())) => drop(timeout(FAREWELL, incoming.drain()).await),
            _ => self.writer.reset(),
        }
    }
}
