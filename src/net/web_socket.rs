//! A WebSocket on a stream: messages in, frames out, and buffers only while something is in them.
//!
//! Frames are read and written by actix-http's codec. Around it stands what it lacks: a size is refused at the header
//! that names it, a message in fragments is put together within the same bound, and an idle connection holds no buffer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::{io, str};

use actix_codec::{Decoder as _, Encoder as _, Framed};
use actix_http::h1;
use actix_http::ws::{self, CloseReason, Codec, Frame, Item, ProtocolError};
use bytes::{Buf as _, Bytes, BytesMut};
use bytestring::ByteString;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::{Connection, Stream};
use crate::budget::Share;

/// The most bytes of one read.
const CHUNK: usize = 4096;
/// The largest payload of a control frame (RFC 6455, section 5.5).
const MAX_CONTROL: u64 = 125;

/// A message from the other side.
#[derive(Debug)]
pub enum Message {
    /// UTF-8.
    Text(Bytes),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    Close(Option<CloseReason>),
}

/// Why nothing more can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// The other side is gone.
    Gone,
    /// A message, or a fragment, is larger than it may be.
    TooLarge,
    /// All sockets together hold too much that is not whole yet, and this one the most.
    NoMemory,
    /// A text is not UTF-8.
    NotUtf8,
    /// The bytes are no WebSocket frame, or one that must not come here.
    Protocol,
}

/// The half that reads.
pub struct Reader {
    stream: Rc<RefCell<Stream>>,
    codec: Codec,
    unread: BytesMut,
    /// A message of which fragments are there; whether it is a text.
    partial: Option<(bool, BytesMut)>,
    max: usize,
    /// Of what all sockets hold that is not whole yet.
    share: Share,
}

/// The half that writes.
pub struct Writer {
    stream: Rc<RefCell<Stream>>,
    connection: Rc<Connection>,
    codec: Codec,
    unwritten: BytesMut,
}

/// Takes over the stream of a request that was upgraded. No message may be larger than `max`; what is held of one that
/// is not whole yet counts for `share`.
pub fn split(framed: Framed<Stream, h1::Codec>, max: usize, share: Share) -> (Reader, Writer) {
    let parts = framed.into_parts();
    let connection = Rc::clone(parts.io.connection());
    let stream = Rc::new(RefCell::new(parts.io));
    let codec = || Codec::new().max_size(max);
    // The buffers of HTTP are much larger than what is in them.
    let [unread, unwritten] = [parts.read_buf, parts.write_buf].map(|buffer| BytesMut::from(&buffer[..]));
    let reader = Reader { stream: Rc::clone(&stream), codec: codec(), unread, partial: None, max, share };
    (reader, Writer { stream, connection, codec: codec(), unwritten })
}

impl Reader {
    /// The next message. Safe to cancel: what was read so far is kept.
    ///
    /// # Errors
    /// Nothing comes after one.
    pub async fn next(&mut self) -> Result<Message, ReadError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Reads until the other side closes, and lets go of it.
    pub async fn drain(&mut self) {
        self.partial = None;
        while let Ok(1..) = poll_fn(|cx| self.poll_chunk(cx)).await {
            self.unread = BytesMut::new();
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, ReadError>> {
        loop {
            if self.share.has_to_go() {
                return Poll::Ready(Err(ReadError::NoMemory));
            }
            self.check_size()?;
            match self.codec.decode(&mut self.unread) {
                Ok(Some(frame)) => {
                    if self.unread.is_empty() {
                        self.unread = BytesMut::new();
                    }
                    let message = self.message(frame)?;
                    self.count();
                    if let Some(message) = message {
                        return Poll::Ready(Ok(message));
                    }
                }
                Ok(None) => match self.poll_chunk(cx) {
                    Poll::Ready(Ok(1..)) => self.count(),
                    Poll::Ready(_) => return Poll::Ready(Err(ReadError::Gone)),
                    Poll::Pending => {
                        // It may have to go while it waits for the rest.
                        self.share.register(cx.waker());
                        let has_to_go = self.share.has_to_go();
                        return if has_to_go { Poll::Ready(Err(ReadError::NoMemory)) } else { Poll::Pending };
                    }
                },
                Err(ProtocolError::Overflow) => return Poll::Ready(Err(ReadError::TooLarge)),
                Err(_) => return Poll::Ready(Err(ReadError::Protocol)),
            }
        }
    }

    fn count(&self) {
        let held = self.unread.capacity() + self.partial.as_ref().map_or(0, |(_, partial)| partial.capacity());
        self.share.set(held, held);
    }

    /// Reads what there is; gives how much that was.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = [0; CHUNK];
        let mut read = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, &mut read))?;
        self.unread.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Refuses a frame by its header, before any more of it is read.
    fn check_size(&self) -> Result<(), ReadError> {
        let Some((is_control, length)) = header(&self.unread) else { return Ok(()) };
        let so_far = self.partial.as_ref().map_or(0, |(_, partial)| partial.len());
        match is_control {
            true if length > MAX_CONTROL => Err(ReadError::Protocol),
            false if length > (self.max.saturating_sub(so_far)) as u64 => Err(ReadError::TooLarge),
            _ => Ok(()),
        }
    }

    /// The message that a frame completes; `None` for a fragment.
    fn message(&mut self, frame: Frame) -> Result<Option<Message>, ReadError> {
        let (is_text, bytes) = match frame {
            Frame::Text(text) => (true, text),
            Frame::Binary(bytes) => (false, bytes),
            Frame::Ping(bytes) => return Ok(Some(Message::Ping(bytes))),
            Frame::Pong(_) => return Ok(Some(Message::Pong)),
            Frame::Close(reason) => return Ok(Some(Message::Close(reason))),
            Frame::Continuation(Item::FirstText(first)) => {
                self.partial = Some((true, BytesMut::from(&first[..])));
                return Ok(None);
            }
            Frame::Continuation(Item::FirstBinary(first)) => {
                self.partial = Some((false, BytesMut::from(&first[..])));
                return Ok(None);
            }
            Frame::Continuation(Item::Continue(next)) => {
                let (_, partial) = self.partial.as_mut().ok_or(ReadError::Protocol)?;
                partial.extend_from_slice(&next);
                return Ok(None);
            }
            Frame::Continuation(Item::Last(last)) => {
                let (is_text, mut partial) = self.partial.take().ok_or(ReadError::Protocol)?;
                partial.extend_from_slice(&last);
                (is_text, partial.freeze())
            }
        };
        match is_text {
            true if str::from_utf8(&bytes).is_err() => Err(ReadError::NotUtf8),
            true => Ok(Some(Message::Text(bytes))),
            false => Ok(Some(Message::Binary(bytes))),
        }
    }
}

/// Whether a frame is a control frame, and how long its payload is, as soon as its header says so.
fn header(bytes: &[u8]) -> Option<(bool, u64)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let length = match second & 0x7f {
        126 => number(bytes.get(2..4)?),
        127 => number(bytes.get(2..10)?),
        short => u64::from(short),
    };
    Some((first & 0x08 != 0, length))
}

impl Writer {
    /// Adds a frame to what is to be written.
    pub fn feed(&mut self, frame: Bytes, is_text: bool) {
        // Only UTF-8 is written as text.
        let message = match is_text {
            true => ws::Message::Text(ByteString::try_from(frame).unwrap_or_default()),
            false => ws::Message::Binary(frame),
        };
        self.encode(message);
    }

    pub fn feed_ping(&mut self) {
        self.encode(ws::Message::Ping(Bytes::new()));
    }

    pub fn feed_pong(&mut self, payload: Bytes) {
        self.encode(ws::Message::Pong(payload));
    }

    pub fn feed_close(&mut self, reason: Option<CloseReason>) {
        self.encode(ws::Message::Close(reason));
    }

    /// Bytes that are not written yet.
    pub fn unwritten(&self) -> usize {
        self.unwritten.len()
    }

    /// Writes everything. Safe to cancel: what was written so far stays written.
    ///
    /// # Errors
    /// The other side is gone.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Says that nothing more comes.
    pub async fn shut_down(&mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)).await
    }

    /// Has the socket reset when it is dropped: the other side does not read.
    pub fn reset(&self) {
        self.connection.miss_deadline();
    }

    fn encode(&mut self, message: ws::Message) {
        if let Err(error) = self.codec.encode(message, &mut self.unwritten) {
            tracing::error!(%error, "a frame can't be written");
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.stream.borrow_mut();
        while !self.unwritten.is_empty() {
            match ready!(Pin::new(&mut *stream).poll_write(cx, &self.unwritten))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.unwritten.advance(written),
            }
        }
        ready!(Pin::new(&mut *stream).poll_flush(cx))?;
        self.unwritten = BytesMut::new(); // most connections have nothing to write most of the time
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none(&[], None)]
    #[case::half(&[0x82, 0xfe, 0x01], None)]
    #[case::short(&[0x82, 0x85], Some((false, 5)))]
    #[case::two_bytes(&[0x81, 0xfe, 0x01, 0x00], Some((false, 256)))]
    #[case::eight_bytes(&[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0], Some((false, 1 << 40)))]
    #[case::a_ping(&[0x89, 0x80], Some((true, 0)))]
    fn a_header_tells_the_length_before_the_payload_comes(#[case] bytes: &[u8], #[case] wanted: Option<(bool, u64)>) {
        assert_eq!(header(bytes), wanted);
    }
}
