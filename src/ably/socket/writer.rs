//! Writing to a socket: in the client's format, and apart where that matters.

use super::*;

pub struct Socket {
    pub socket: actix_ws::Session,
    format: Format,
    /// Bytes handed over since all was last written out, at most.
    unwritten: usize,
    /// Frames of channels written lately.
    crowd: u32,
    crowd_ends: Instant,
}

impl Socket {
    pub fn new(socket: actix_ws::Session, format: Format) -> Self {
        Self { socket, format, unwritten: 0, crowd: 0, crowd_ends: Instant::now() }
    }

    pub async fn write(&mut self, frame: Bytes) -> Result<(), Closed> {
        if self.unwritten + frame.len() > AT_ONCE {
            self.unwritten = 0;
            tokio::task::yield_now().await; // the transport writes meanwhile
        }
        self.unwritten += frame.len();
        match self.format {
            Format::MessagePack => self.socket.binary(frame).await,
            // JSON is UTF-8; nothing else comes here.
            Format::Json => self.socket.text(ByteString::try_from(frame).unwrap_or_default()).await,
        }
    }

    pub async fn say(&mut self, frame: &Outgoing<'_>) -> Result<(), Closed> {
        let frame = self.format.encode(frame);
        self.write(frame).await
    }

    async fn tell(&mut self, heard: &Heard) -> Result<(), Closed> {
        let format = self.format;
        self.write(heard.form(format.index(), |heard| render::frame(heard, format))).await
    }

    pub async fn write_all(&mut self, batch: impl IntoIterator<Item = Tell>) -> Result<(), Closed> {
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
                        tokio::time::sleep(APART).await;
                    }
                    self.crowd = 0;
                    self.write(frame).await?;
                }
            }
        }
        Ok(())
    }

    /// A last frame, and the end with its reason.
    pub async fn end(mut self, last: Option<Outgoing<'_>>, close: Option<CloseReason>) {
        let farewell = async {
            if let Some(last) = last {
                self.say(&last).await?;
            }
            self.socket.close(close).await
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}
