//! A client's socket, plain or with TLS, which counts and paces what is read.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Connection;

/// A socket and its connection. Dropped after a missed deadline, it is reset: the other side may not be reading.
pub struct Stream {
    transport: Transport,
    connection: Rc<Connection>,
    /// Bytes that were read behind the head of a request and are not handed over yet.
    rest: BytesMut,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The answer to a head that is too large, as nobody else gets to give one.
const HEAD_TOO_LARGE: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

impl Stream {
    /// A socket without TLS.
    pub fn plain(tcp: TcpStream, connection: Rc<Connection>) -> Self {
        Self { transport: Transport::Plain(tcp), connection, rest: BytesMut::new() }
    }

    /// A socket with TLS.
    pub fn tls(tls: TlsStream<TcpStream>, connection: Rc<Connection>) -> Self {
        Self { transport: Transport::Tls(Box::new(tls)), connection, rest: BytesMut::new() }
    }

    /// The connection that it is of.
    pub fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    fn tcp(&self) -> &TcpStream {
        match &self.transport {
            Transport::Plain(tcp) => tcp,
            Transport::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(most) = this.connection.may_read(cx.waker()) else {
            if this.connection.is_new() {
                let _ = Pin::new(&mut this.transport).poll_write(cx, HEAD_TOO_LARGE);
                let _ = Pin::new(&mut this.transport).poll_flush(cx);
            }
            return Poll::Ready(Err(io::Error::other("the head of a request is too large")));
        };
        if most == 0 {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if !this.rest.is_empty() {
            let count = this.rest.len().min(most).min(buf.remaining());
            let taken = this.connection.was_read(this.rest.get(..count).unwrap_or_default());
            buf.put_slice(&this.rest.split_to(taken));
            if this.rest.is_empty() {
                this.rest = BytesMut::new();
                this.connection.has_rest(false);
            }
            return Poll::Ready(Ok(()));
        }
        let most = most.min(ready!(this.connection.pace().poll_allowance(cx)));
        if buf.remaining() <= most {
            ready!(Pin::new(&mut this.transport).poll_read(cx, buf))?;
        } else {
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
            ready!(Pin::new(&mut this.transport).poll_read(cx, &mut part))?;
            let read = part.filled().len();
            buf.advance(read);
        }
        let read = buf.filled().get(before..).unwrap_or_default();
        this.connection.pace().moved(read.len());
        let taken = this.connection.was_read(read);
        if taken < read.len() {
            this.rest = BytesMut::from(read.get(taken..).unwrap_or_default());
            buf.set_filled(before + taken);
            this.connection.has_rest(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let most = buf.len().min(ready!(this.connection.pace().poll_allowance(cx)));
        let part = buf.get(..most).unwrap_or_default();
        let written = ready!(Pin::new(&mut this.transport).poll_write(cx, part))?;
        this.connection.pace().moved(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.transport).poll_flush(cx))?;
        this.connection.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.connection.is_late() {
            let _ = self.tcp().set_zero_linger();
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
