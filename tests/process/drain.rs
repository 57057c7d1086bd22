//! What SIGTERM does while clients are connected.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::service::{DataDir, Service, command, get, make_room};

fn host(data_dir: &DataDir) -> String {
    data_dir.endpoint().unwrap()["http"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned()
}

fn draining_for(data_dir: &DataDir, span: &str) -> Service {
    Service::spawn(command(data_dir.path(), &["--drain", span]))
}

/// A connection that was used, as a proxy keeps it.
async fn kept_alive(data_dir: &DataDir) -> TcpStream {
    let host = host(data_dir);
    let mut connection = TcpStream::connect(&host).await.unwrap();
    connection.write_all(format!("GET /health/live HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.unwrap();
    assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
    connection
}

#[tokio::test]
async fn requests_are_answered_while_probes_say_that_it_is_stopping() {
    let data_dir = DataDir::new();
    let mut service = draining_for(&data_dir, "2s");
    let room = make_room(&data_dir).await;
    let _proxy = kept_alive(&data_dir).await;
    let began = Instant::now();

    service.signal(Signal::SIGTERM);

    while get(&data_dir, "/health/ready").await.status != 503 {
        assert!(began.elapsed() < Duration::from_secs(1), "it is ready still");
    }
    let live = get(&data_dir, "/health/live").await;
    assert_eq!((live.status.as_u16(), &live.body["reason"]), (503, &json!("the service is stopping")));
    assert_eq!(get(&data_dir, &room).await.status, 200);
    let ended = service.wait();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(began.elapsed() >= Duration::from_secs(2), "ended after {:?}", began.elapsed());
}

#[tokio::test]
async fn without_clients_and_at_a_second_signal_it_ends_at_once() {
    for signals in [1, 2] {
        let data_dir = DataDir::new();
        let mut service = draining_for(&data_dir, "60s");
        let _proxy = if signals == 2 { Some(kept_alive(&data_dir).await) } else { None };
        let began = Instant::now();

        service.signal(Signal::SIGTERM);
        if signals == 2 {
            while get(&data_dir, "/health/ready").await.status != 503 {}
            service.signal(Signal::SIGTERM);
        }

        assert_eq!(service.wait().status.code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(20), "ended after {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn live_clients_are_told_to_connect_again_one_after_the_other() {
    let data_dir = DataDir::new();
    let mut service = draining_for(&data_dir, "2s");
    let host = host(&data_dir);
    let key = data_dir.endpoint().unwrap()["ablyKey"].as_str().unwrap().to_owned();
    let key: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let mut told = Vec::new();
    for _ in 0..6 {
        let stream = TcpStream::connect(&host).await.unwrap();
        let mut client = client_async(format!("ws://{host}/?key={key}&format=json&v=6"), stream).await.unwrap().0;
        told.push(tokio::spawn(async move {
            let mut at = None;
            while let Some(Ok(message)) = client.next().await {
                let Message::Text(text) = message else { continue };
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["action"] == 6 {
                    at = Some((Instant::now(), frame["error"]["statusCode"].clone()));
                }
            }
            let _ = client.close(None).await;
            at
        }));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();

    service.signal(Signal::SIGTERM);

    let mut times = Vec::new();
    for told in told {
        let (at, status) = told.await.unwrap().expect("it is told that it is disconnected");
        assert!(status.as_u64() < Some(500) || status == 503, "{status}");
        times.push(at - began);
    }
    times.sort();
    let (first, last) = (times[0], times[times.len() - 1]);
    assert!(first >= Duration::from_millis(700), "proxies have time to notice: {times:?}");
    assert!(last - first >= Duration::from_millis(300), "not all at once: {times:?}");
    assert!(last < Duration::from_secs(2), "{times:?}");
    assert_eq!(service.wait().status.code(), Some(0));
}
