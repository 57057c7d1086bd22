//! A WebSocket to the service, and the frame that it begins with.

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::processes::{Result, Service};

/// Connects with a credential in a query, such as `key=…`, and waits to be told that it is.
pub async fn connect(service: &Service, credential: &str) -> Result<(WebSocketStream<TcpStream>, Value)> {
    let stream = TcpStream::connect(service.address).await?;
    stream.set_nodelay(true)?;
    let url = format!("ws://{}/?{credential}&format=json&heartbeats=false&v=6", service.address);
    // Thousands of clients in one process: none needs the usual 128 KiB.
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let (mut socket, _) = client_async_with_config(url, stream, Some(config)).await?;
    let first = socket.next().await.ok_or("no first frame")??;
    let first: Value = serde_json::from_str(first.to_text()?)?;
    if first["action"] == 4 { Ok((socket, first)) } else { Err(format!("not connected: {first}").into()) }
}
