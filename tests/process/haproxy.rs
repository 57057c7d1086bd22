//! Two instances behind the real HAProxy, with the configuration of `deploy/haproxy.cfg`.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use roomkeeper::clock::Clock;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio_tungstenite::client_async;

use crate::service::{DataDir, Service, command, postgres};
use crate::wire::{Answer, Request};

const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/haproxy.cfg");

struct Proxy {
    process: Child,
    address: SocketAddr,
}

impl Proxy {
    fn start(folder: &DataDir, instances: [u16; 2]) -> Self {
        let port = free_port();
        let mut text = fs::read_to_string(CONFIGURATION).unwrap();
        for (written, used) in [(8080, port), (8081, instances[0]), (8082, instances[1])] {
            text = text.replace(&format!("127.0.0.1:{written}"), &format!("127.0.0.1:{used}"));
        }
        let file = folder.join("haproxy.cfg");
        fs::write(&file, text).unwrap();
        let mut haproxy = Command::new("/usr/sbin/haproxy");
        haproxy.arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let process = haproxy.spawn().expect("script/test installs it");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, address }
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        let request = Request::new(self.address, Clock::system().now(), method, path);
        let request = if method == "POST" { request.json(&json!({})) } else { request };
        request.send().await
    }

    async fn until_status(&self, path: &str, status: u16) {
        let began = Instant::now();
        while self.ask("GET", path).await.status != status {
            assert!(began.elapsed() < Duration::from_secs(20), "{path} is not answered {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn instance(folder: &Path, url: &str, port: u16) -> Service {
    let listen = format!("127.0.0.1:{port}");
    let args = ["--database-url", url, "--listen", &listen, "--drain", "5s", "--named-rooms", "on"];
    Service::spawn(command(folder, &args))
}

#[tokio::test]
async fn a_rolling_restart_fails_no_call() {
    let (_data, database, url) = postgres();
    let (folders, ports) = ([DataDir::new(), DataDir::new()], [free_port(), free_port()]);
    let mut instances: Vec<_> = (0..2).map(|n| instance(folders[n].path(), &url, ports[n])).collect();
    let proxy = Proxy::start(&folders[0], ports);
    proxy.until_status("/rooms", 200).await;
    let is_over = AtomicBool::new(false);

    let calling = async {
        let mut calls = 0;
        while !is_over.load(Ordering::Relaxed) {
            for method in ["GET", "POST"] {
                let answer = proxy.ask(method, "/rooms").await;
                assert!(answer.status.is_success(), "call {calls}: {answer:?}");
                calls += 1;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        calls
    };
    let restarting = async {
        for n in 0..2 {
            let (first, url, folder, port) = (instances.remove(0), url.clone(), folders[n].path().to_owned(), ports[n]);
            let restart = move || {
                first.stop();
                instance(&folder, &url, port)
            };
            let again = spawn_blocking(restart).await.unwrap();
            instances.push(again);
            tokio::time::sleep(Duration::from_secs(2)).await; // the proxy takes it up again
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (calls, ()) = tokio::join!(calling, restarting);

    assert!(calls > 100, "{calls}");
    instances.into_iter().for_each(|instance| drop(instance.stop()));
    database.stop();
}

#[tokio::test]
async fn live_clients_connect_while_the_database_is_away_and_rest_is_refused() {
    let (data, database, url) = postgres();
    let (folders, ports) = ([DataDir::new(), DataDir::new()], [free_port(), free_port()]);
    let instances: Vec<_> = (0..2).map(|n| instance(folders[n].path(), &url, ports[n])).collect();
    let proxy = Proxy::start(&folders[0], ports);
    proxy.until_status("/rooms", 200).await;

    database.stop();
    proxy.until_status("/rooms", 503).await;
    tokio::time::sleep(Duration::from_secs(3)).await; // the proxy has noticed

    let key = folders[0].endpoint().unwrap()["ablyKey"].as_str().unwrap().to_owned();
    let key: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let connected = client_async(format!("ws://{}/?key={key}&format=json&v=6", proxy.address), stream).await;
    assert_eq!(connected.expect("a WebSocket").1.status(), 101);

    let database = Service::spawn(command(data.path(), &["postgres"]));
    proxy.until_status("/rooms", 200).await;
    instances.into_iter().for_each(|instance| drop(instance.stop()));
    database.stop();
}
