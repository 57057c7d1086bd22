//! What a node holds for its clients at the worst: every bound driven at once (docs/limits.md, Memory of a node).

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::service::{DataDir, Service, command};

const MIB: f64 = 1024.0 * 1024.0;
const CLIENTS: usize = 200;
/// Requests whose body does not end.
const BODIES: usize = 60;
/// The budgets of the test, in bytes: 32 MiB together.
const BUDGETS: [(&str, usize); 5] = [
    ("--max-body-memory", 2 << 20),
    ("--max-input-memory", 6 << 20),
    ("--max-output-memory", 8 << 20),
    ("--max-presence-memory", 8 << 20),
    ("--max-replay-memory", 8 << 20),
];
/// What a live connection, and a socket whose body arrives, take besides (docs/limits.md).
const LIVE: f64 = 16.0 * 1024.0;
const SOCKET: f64 = 192.0 * 1024.0;

/// A frame of text that says it is so long, masked by zeros.
fn frame(payload: &[u8], length: usize) -> Vec<u8> {
    let mut frame = vec![0x81, 0xff];
    frame.extend((length as u64).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn whole(message: &Value) -> Vec<u8> {
    let text = message.to_string();
    frame(text.as_bytes(), text.len())
}

/// A client that says as much as it may, begins a message that it does not end, and reads nothing.
async fn flood(host: String, key: String, n: usize) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(&host).await.ok()?;
    let handshake = format!(
        "GET /?key={key}&clientId=c{n}&format=json&v=6 HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(handshake.as_bytes()).await.ok()?;
    let _ = socket.read(&mut [0; 64]).await.ok()?;
    let (room, data) = (format!("room {}", n % 20), "x".repeat(60_000));
    socket.write_all(&whole(&json!({ "action": 10, "channel": room, "flags": 983_040 }))).await.ok()?;
    let presence = json!([{ "action": 2, "data": data }]);
    socket
        .write_all(&whole(&json!({ "action": 14, "channel": room, "msgSerial": 0, "presence": presence })))
        .await
        .ok()?;
    for serial in 1..20 {
        let extras = json!({ "ephemeral": serial % 2 == 0 });
        let messages = json!([{ "name": "noise", "data": data, "extras": extras }]);
        let said = json!({ "action": 15, "channel": room, "msgSerial": serial, "messages": messages });
        socket.write_all(&whole(&said)).await.ok()?;
    }
    socket.write_all(&frame(&vec![b'x'; 200_000], 500_000)).await.ok()?;
    Some(socket)
}

/// A request whose body never ends, for which no credential is needed.
async fn body(host: String) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(&host).await.ok()?;
    let head = format!("POST /keys/dev.primary/requestToken HTTP/1.1\r\nHost: {host}\r\nContent-Length: 65536\r\n\r\n");
    socket.write_all(head.as_bytes()).await.ok()?;
    socket.write_all(&vec![b' '; 60_000]).await.ok()?;
    Some(socket)
}

fn resident(pid: u64) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

#[tokio::test]
async fn every_bound_driven_at_once_holds_what_the_document_says() {
    let data_dir = DataDir::new();
    let budgets: Vec<String> =
        BUDGETS.iter().flat_map(|(flag, bytes)| [(*flag).to_owned(), bytes.to_string()]).collect();
    let mut flags: Vec<&str> = budgets.iter().map(String::as_str).collect();
    flags.extend(["--max-connections", "200", "--connection-rate", "10000", "--room-rate", "10000"]);
    let service = Service::spawn(command(data_dir.path(), &flags));
    let endpoint = data_dir.endpoint().unwrap();
    let (pid, text) = (endpoint["pid"].as_u64().unwrap(), |name: &str| endpoint[name].as_str().unwrap().to_owned());
    let (host, key) = (text("http").replace("http://", ""), text("ablyKey").replace('=', "%3D").replace('+', "%2B"));
    let before = resident(pid);

    let clients: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(flood(host.clone(), key.clone(), n))).collect();
    let bodies: Vec<_> = (0..BODIES).map(|_| tokio::spawn(body(host.clone()))).collect();
    let mut worst = before;
    for _ in 0..60 {
        sleep(Duration::from_millis(100)).await;
        worst = worst.max(resident(pid));
    }

    let budgets: usize = BUDGETS.iter().map(|(_, bytes)| bytes).sum();
    let formula = before + budgets as f64 + CLIENTS as f64 * LIVE + BODIES as f64 * SOCKET;
    let told =
        format!("{:.1} MiB before, {:.1} at worst, {:.1} by the formula", before / MIB, worst / MIB, formula / MIB);
    println!("{told}");
    assert!(worst <= 1.3 * formula, "{told}");
    assert!(worst - before > 16.0 * MIB, "the bounds were not driven: {told}");
    let live = format!("GET /health/live HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let (mut probe, mut answer) = (TcpStream::connect(&host).await.unwrap(), String::new());
    probe.write_all(live.as_bytes()).await.unwrap();
    probe.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK"), "{answer}");
    clients.iter().chain(&bodies).for_each(|client| client.abort());
    drop((clients, bodies));
    service.stop();
}
