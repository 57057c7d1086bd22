//! One request over a connection that is kept, with little work for whoever measures.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a body in chunks ends with. JSON on one line has it nowhere else.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// Whether the answer is a 2xx, and its body, which stands in the buffer; one in chunks stands there as it came.
pub async fn exchange<'b>(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &'b mut Vec<u8>,
) -> io::Result<(bool, &'b [u8])> {
    stream.write_all(request).await?;
    buffer.clear();
    let head = loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    if value(&buffer[..head], b"transfer-encoding:").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        while !buffer.ends_with(LAST_CHUNK) {
            if stream.read_buf(buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        return Ok((is_2xx(buffer), &buffer[head..]));
    }
    let length = value(&buffer[..head], b"content-length:").and_then(|value| value.parse().ok());
    let whole = head + length.unwrap_or(0);
    while buffer.len() < whole {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((is_2xx(buffer), &buffer[head..whole]))
}

fn is_2xx(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 2")
}

/// What a header says whose name is given with its colon, in small letters.
fn value<'h>(head: &'h [u8], name: &[u8]) -> Option<&'h str> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = lines.find(|line| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))?;
    Some(std::str::from_utf8(&line[name.len()..]).ok()?.trim())
}
