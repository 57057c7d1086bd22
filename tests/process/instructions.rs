//! Counts the instructions that a frame of a live room costs the service. Unlike a timed test, the count does not depend
//! on other load of the machine. tests/api/instructions.rs counts those of requests.
//!
//! Valgrind runs the service, and counts within the loop of a socket alone: a message is read, published, echoed and
//! acknowledged to the client that sent it, and delivered to another. The code is built for development: there is more
//! of it than in a release.

use std::fs;
use std::process::Command;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::service::{DataDir, Service, command, postgres};

/// Instructions of a frame, as they were counted last.
const BOUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/instructions.json");
/// How far a count may exceed its bound, as a fraction of it.
const TOLERANCE: f64 = 0.06;
const LOOP: &str = "roomkeeper::ably::socket::talk::talk::{{closure}}";
const COUNTED: u64 = 50;
const WARM_UP: u64 = 10;

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn attached(endpoint: &Value, name: &str) -> Self {
        let host = endpoint["http"].as_str().unwrap().replace("http://", "");
        let key: String = form_urlencoded::byte_serialize(endpoint["ablyKey"].as_str().unwrap().as_bytes()).collect();
        let stream = TcpStream::connect(&host).await.unwrap();
        let url = format!("ws://{host}/?key={key}&clientId={name}&format=json&heartbeats=false&v=6");
        let mut client = Self(client_async(url, stream).await.unwrap().0);
        client.send(&json!({ "action": 10, "channel": "hall", "flags": 983_040 })).await;
        client.wait_for(11).await;
        client
    }

    async fn send(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn wait_for(&mut self, action: u64) {
        loop {
            let message = self.0.next().await.unwrap().unwrap();
            let frame: Value = serde_json::from_slice(&message.into_data()).unwrap_or_default();
            if frame["action"] == action {
                return;
            }
        }
    }
}

/// Publishes `count` messages, each after the one before has reached everybody.
async fn publish(speaker: &mut Client, listener: &mut Client, serials: std::ops::Range<u64>) {
    for serial in serials {
        let messages = json!([{ "name": "note", "data": { "text": "hello" } }]);
        speaker.send(&json!({ "action": 15, "channel": "hall", "msgSerial": serial, "messages": messages })).await;
        speaker.wait_for(1).await; // ACK, which follows the echo
        listener.wait_for(15).await;
    }
}

fn control(argument: &str, pid: u64) {
    let output = Command::new("callgrind_control").args([argument, &pid.to_string()]).output();
    let output = output.expect("needed: Debian's package valgrind");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_live_frame_costs_no_more_instructions_than_it_did() {
    let (_data, postgres, url) = postgres();
    let (folder, counts) = (DataDir::new(), tempfile::tempdir().unwrap());
    let service = command(folder.path(), &["--database-url", &url]);
    let mut under_valgrind = Command::new("valgrind");
    under_valgrind
        .args(["--tool=callgrind", &format!("--toggle-collect={LOOP}")])
        .arg(format!("--callgrind-out-file={}/count", counts.path().display()))
        .arg(service.get_program())
        .args(service.get_args());
    for (name, value) in service.get_envs() {
        match value {
            Some(value) => under_valgrind.env(name, value),
            None => under_valgrind.env_remove(name),
        };
    }
    under_valgrind.stdin(std::process::Stdio::null());
    under_valgrind.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let service = Service::spawn(under_valgrind);
    let endpoint = folder.endpoint().unwrap();
    let pid = endpoint["pid"].as_u64().unwrap();

    let mut listener = Client::attached(&endpoint, "listener").await;
    let mut speaker = Client::attached(&endpoint, "speaker").await;
    publish(&mut speaker, &mut listener, 0..WARM_UP).await;
    control("--zero", pid);
    publish(&mut speaker, &mut listener, WARM_UP..WARM_UP + COUNTED).await;
    control("--dump", pid);
    let profile = fs::read_to_string(counts.path().join("count.1")).unwrap();
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    let counted = total.unwrap().parse::<u64>().unwrap() / COUNTED;
    service.kill();
    postgres.stop();

    #[expect(clippy::disallowed_methods, reason = "nobody sets it for the service")]
    if std::env::var_os("UPDATE").is_some() {
        fs::write(BOUND, format!("{}\n", json!({ "live frame": counted }))).unwrap();
    }
    let bound: Value = serde_json::from_str(&fs::read_to_string(BOUND).unwrap()).unwrap();
    let part = counted as f64 / bound["live frame"].as_f64().unwrap();
    let told = format!("instructions of a live frame: {counted}, {part:.3} of what it was");
    println!("{told}");
    assert!(
        part <= 1.0 + TOLERANCE,
        "{told}. If it is worth them, or the compiler or the machine is of another kind: \
         `UPDATE=1 cargo test --test process instructions`, which also lowers the bound of what became less."
    );
}
