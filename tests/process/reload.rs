//! Files that are read again while the service runs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::service::{DataDir, Service, command, get, make_room};

/// Writes a certificate for localhost and its key.
fn make_certificate(cert_file: &Path, key_file: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(cert_file, cert.pem()).unwrap();
    fs::write(key_file, key.serialize_pem()).unwrap();
}

/// Whether curl is answered by a server with this certificate.
fn is_served(cert_file: &Path, port: &str) -> bool {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--cacert"]).arg(cert_file).arg(format!("https://localhost:{port}/health/live"));
    curl.output().expect("curl is installed by script/test").status.success()
}

/// Sends a request on a connection that is kept, and reads the answer.
fn ask(connection: &mut TcpStream) {
    connection.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = [0; 1024];
    let count = connection.read(&mut answer).unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
}

fn await_that(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_served_and_connections_stay() {
    let data_dir = DataDir::new();
    let (cert_file, key_file) = (data_dir.join("cert.pem"), data_dir.join("key.pem"));
    make_certificate(&cert_file, &key_file);
    let mut command = command(data_dir.path(), &["--tls-listen", "127.0.0.1:0"]);
    command.arg("--tls-cert").arg(&cert_file).arg("--tls-key").arg(&key_file);
    let service = Service::spawn(command);
    let https = data_dir.endpoint().unwrap()["https"].as_str().unwrap().to_owned();
    let port = https.rsplit_once(':').unwrap().1;
    let http = data_dir.endpoint().unwrap()["http"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let mut connection = TcpStream::connect(&http).unwrap();
    ask(&mut connection);
    let before = data_dir.join("before.pem");
    fs::copy(&cert_file, &before).unwrap();
    assert!(is_served(&before, port));

    make_certificate(&cert_file, &key_file);
    await_that(|| is_served(&cert_file, port));
    assert!(!is_served(&before, port));

    fs::copy(&cert_file, &before).unwrap();
    make_certificate(&cert_file, &key_file);
    service.signal(Signal::SIGHUP);
    await_that(|| is_served(&cert_file, port));
    ask(&mut connection);

    fs::copy(&cert_file, &before).unwrap();
    fs::write(&key_file, "no key").unwrap();
    service.signal(Signal::SIGHUP);
    assert!(is_served(&before, port), "the one before is served");
    let ended = service.stop();
    assert!(ended.stderr.contains("the certificate can't be read again"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_filter_of_the_log_is_replaced_while_the_service_runs() {
    let data_dir = DataDir::new();
    let filter = data_dir.join("filter");
    fs::write(&filter, "warn\n").unwrap();
    let mut command = command(data_dir.path(), &[]);
    command.arg("--log-filter-file").arg(&filter);
    let service = Service::spawn(command);

    fs::write(&filter, "debug\n").unwrap();
    service.signal(Signal::SIGHUP);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(get(&data_dir, "/rooms/1").await.status, 400);
    fs::write(&filter, "no=such=filter").unwrap();
    service.signal(Signal::SIGHUP);
    std::thread::sleep(Duration::from_millis(200));
    let ended = service.stop();

    assert!(!ended.stderr.contains("a private Postgres"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\"level\":\"DEBUG\""), "{}", ended.stderr);
    assert!(ended.stderr.contains("the filter of the log stays as it is"), "{}", ended.stderr);
}

#[tokio::test]
async fn keys_are_read_again_on_sighup() {
    let (_data, postgres, url) = crate::service::postgres();
    let (one, other) = (DataDir::new(), DataDir::new());
    let first = Service::spawn(command(one.path(), &["--database-url", &url]));
    make_room(&one).await;
    let new = "bmV3IGFjY2VzcyBrZXkgZm9yIHRoZSByb29tcw==";
    let second = command(other.path(), &["--database-url", &url, "--access-key", new, "--replace-access-key"]);
    let second = Service::spawn(second);

    first.signal(Signal::SIGHUP);

    let began = Instant::now();
    while get(&one, "/rooms").await.status != 401 {
        assert!(began.elapsed() < Duration::from_secs(10), "the key that was replaced is still taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.stop();
    second.stop();
    postgres.stop();
}
