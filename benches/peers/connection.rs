//! A connection to a peer that is made ready.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::net::TcpStream;

use crate::exchange::exchange;
use crate::processes::Result;

/// Kept alive.
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { address, stream, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// Asks for something that has to be done, and gives the body of the answer.
    pub async fn ask(&mut self, method: &str, target: &str, headers: &str, body: &Value) -> Result<&[u8]> {
        let request = json_request(self.address, method, target, headers, &body.to_string());
        let (is_done, answer) = exchange(&mut self.stream, &request, &mut self.buffer).await?;
        if !is_done {
            return Err(format!("{method} {target}: {}", String::from_utf8_lossy(answer)).into());
        }
        Ok(answer)
    }
}

/// A whole request with what it has of headers besides the usual, each with its end of line.
pub fn json_request(host: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
