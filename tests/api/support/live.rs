//! A client of live rooms, frame by frame.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{KEY, TestApp};

/// The access key of the tests, as clients of live rooms write it, in a query.
pub const LIVE_KEY: &str = "key=dev.primary:bWFkZS11cC1rZXktZm9yLXRlc3QtdmVjdG9ycy0wMDE%3D";

/// The modes and the occupancy that a chat room asks for.
const CHAT_FLAGS: u32 = 3_080_192;

pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects with a query, such as `key=…&clientId=ann`.
    pub async fn connect(app: &TestApp, query: &str) -> Self {
        Self::from(app, query, None).await.unwrap_or_else(|status| panic!("refused with {status}"))
    }

    /// Connects from a page of `origin`; or gives the status with which the handshake is refused.
    pub async fn from(app: &TestApp, query: &str, origin: Option<&str>) -> Result<Self, u16> {
        let origin: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        Self::with_headers(app, query, &origin).await
    }

    /// Connects with headers of the handshake, in place of those that a client sends by itself.
    pub async fn with_headers(app: &TestApp, query: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let url = format!("ws://{}/?{query}&format=json&heartbeats=true&v=6", app.address);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Connects with the key, as `client`, and attaches to `room`.
    pub async fn in_room(app: &TestApp, client: &str, room: &str) -> Self {
        let mut socket = Self::connect(app, &format!("{LIVE_KEY}&clientId={client}")).await;
        assert_eq!(socket.next().await["action"], 4);
        let attached = socket.attach(room).await;
        assert_eq!(attached["action"], 11, "{attached}");
        socket
    }

    pub async fn attach(&mut self, room: &str) -> Value {
        self.send(json!({ "action": 10, "channel": channel(room), "flags": CHAT_FLAGS })).await;
        self.next().await
    }

    /// Enters, and reads the echo and its ACK.
    pub async fn enter(&mut self, room: &str, serial: u32) {
        self.send(
            json!({ "action": 14, "channel": channel(room), "msgSerial": serial, "presence": [{ "action": 2 }] }),
        )
        .await;
        assert_eq!((self.next().await["action"].clone(), self.next().await["action"].clone()), (json!(14), json!(1)));
    }

    /// Publishes a text.
    pub async fn say(&mut self, room: &str, serial: u32, text: &str) {
        let messages = json!([{ "data": text }]);
        self.send(json!({ "action": 15, "channel": channel(room), "msgSerial": serial, "messages": messages })).await;
    }

    pub async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Sends bytes as they are, past the WebSocket.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    /// Closes the WebSocket.
    pub async fn close(&mut self, frame: Option<CloseFrame>) {
        self.0.close(frame).await.unwrap();
    }

    /// The code with which the other side closes; what comes before is left out. `None` if there is none.
    pub async fn close_code(&mut self) -> Option<u16> {
        let code = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    _ => return None,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), code).await.expect("an end in time")
    }

    /// The next frame that is no heartbeat of the service's own; null at the end.
    pub async fn next(&mut self) -> Value {
        let frame = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) if text.as_str() == r#"{"action":0}"# => {}
                    Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    _ => return Value::Null,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), frame).await.expect("a frame in time")
    }
}

/// A user of the Identity API: its raw id, and a token for live rooms.
pub async fn user_token(app: &TestApp) -> (String, String) {
    let answer = app.post("/identities", json!({ "createTokenWithScopes": ["chat"] })).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&answer.body["identity"]["id"]), text(&answer.body["accessToken"]["token"]))
}

/// A user of the Identity API: its raw id, and a socket that its token opened.
pub async fn live_user(app: &TestApp) -> (String, Socket) {
    let (id, token) = user_token(app).await;
    let mut socket = Socket::connect(app, &format!("access_token={token}")).await;
    assert_eq!(socket.next().await["action"], 4);
    (id, socket)
}

/// The access key's HMAC over a text, as clients of live rooms sign: with the key's text, not the bytes that it encodes.
pub fn live_mac(text: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap().chain_update(text);
    mac.finalize().into_bytes().to_vec()
}

/// The kind of a frame, and the code in it.
pub fn kind(frame: &Value) -> (u64, u64) {
    (frame["action"].as_u64().unwrap_or(99), frame["error"]["code"].as_u64().unwrap_or(0))
}

/// The modes that an attachment was granted.
pub fn modes(attached: &Value) -> u64 {
    attached["flags"].as_u64().unwrap() & (0xff << 16)
}

/// The channel of a room.
pub fn channel(room: &str) -> String {
    format!("{room}::$chat")
}
