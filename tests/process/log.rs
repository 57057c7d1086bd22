//! How much clients can make the service write.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::service::{DataDir, Service, command};

const REQUESTS: usize = 20_000;

/// Sends so many requests over one connection, of which the last closes it, and gives what was answered.
async fn pipeline(data_dir: &DataDir, target: &str) -> String {
    let http = data_dir.endpoint().unwrap()["http"].as_str().unwrap().to_owned();
    let host = http.strip_prefix("http://").unwrap().to_owned();
    let (mut answers, mut requests) = TcpStream::connect(&host).await.unwrap().into_split();
    let request = |connection: &str| {
        format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\nx-ms-date: Sat, 21 Nov 2026 01:07:52 GMT\r\n\
             x-ms-content-sha256: x\r\n\
             Authorization: HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=AAAA\r\n\r\n"
        )
    };
    let wire = request("keep-alive").repeat(REQUESTS - 1) + &request("close");
    let sending = tokio::spawn(async move { requests.write_all(wire.as_bytes()).await });
    let mut answered = String::new();
    answers.read_to_string(&mut answered).await.unwrap();
    sending.await.unwrap().unwrap();
    answered
}

#[tokio::test]
async fn many_refusals_of_a_kind_are_one_line_a_second_and_their_number() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);
    let long = "x".repeat(1000);

    let answered = pipeline(&data_dir, &format!("/rooms/{long}?api-version=2025-03-13")).await;
    assert_eq!(answered.matches("HTTP/1.1 401").count(), REQUESTS);
    let ended = service.stop();

    let lines = ended.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (denied, others): (Vec<Value>, Vec<Value>) = lines.partition(|line| line["message"] == "denied");
    let first = &denied[0];
    assert_eq!(first["reason"], "the signature fits no key of this service, for no form of this request");
    assert!(first["span"]["id"].is_string());
    assert_eq!(first["span"]["path"].as_str().unwrap().chars().count(), 201, "{first}");
    let left_out = others.iter().filter(|line| line["line"] == "denied").map(|line| line["count"].as_u64().unwrap());
    assert_eq!(left_out.sum::<u64>(), u64::try_from(REQUESTS - denied.len()).unwrap());
    assert!(ended.stderr.len() < 64 * 1024, "{} bytes of log", ended.stderr.len());
}

#[test]
fn bad_names_in_handshakes_are_a_line_a_second_though_each_is_another() {
    let data_dir = DataDir::new();
    let service = Service::spawn(command(data_dir.path(), &["--tls-listen", "127.0.0.1:0"]));
    let https = data_dir.endpoint().unwrap()["https"].as_str().unwrap().to_owned();
    let shake_hands = |n: u64| -> Child {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", https.strip_prefix("https://").unwrap()]);
        openssl.args(["-servername", &format!("bad..name{n}")]);
        openssl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        openssl.spawn().expect("openssl is installed by script/test")
    };

    let clients: Vec<Child> = (0..30).map(shake_hands).collect();
    for mut client in clients {
        client.wait().unwrap();
    }
    let ended = service.stop();

    let lines: Vec<Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let written = lines.iter().filter(|line| line["message"].as_str().unwrap().contains("bad..name")).count();
    let left_out = lines.iter().filter(|line| line["line"].as_str().is_some_and(|line| line.contains("bad..name")));
    let left_out: u64 = left_out.map(|line| line["count"].as_u64().unwrap()).sum();
    assert!(left_out > 0, "{ended:?}");
    assert_eq!(u64::try_from(written).unwrap() + left_out, 30);
}
