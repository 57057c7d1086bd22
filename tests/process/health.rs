//! `roomkeeper health`: exit code 0 for a service that can work, 1 for any other.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use crate::service::{DataDir, Service, command, complaint, run};

#[test]
fn a_service_that_runs_is_found_by_its_data_folder() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);

    let ended = run(command(data_dir.path(), &["health"]));

    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(0), "ready\n"), "{ended:?}");
    service.stop();
}

#[test]
fn where_none_runs_is_none_that_can_work() {
    let data_dir = DataDir::new();

    let ended = run(command(data_dir.path(), &["health"]));

    assert_eq!(ended.status.code(), Some(1));
    assert!(complaint(&ended).starts_with("roomkeeper: no service runs here: /tmp/"), "{ended:?}");
}

#[test]
fn a_service_that_was_killed_is_none_that_can_work() {
    let data_dir = DataDir::new();
    Service::start(&data_dir).kill();

    let ended = run(command(data_dir.path(), &["health"]));

    assert_eq!(ended.status.code(), Some(1));
    assert!(complaint(&ended).contains("Connection refused"), "{ended:?}");
}

#[test]
fn a_service_that_is_not_ready_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let unready = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 26];
        stream.read_exact(&mut request).unwrap();
        let body = r#"{"status":"unavailable","reason":"the database does not answer"}"#;
        let head = format!("HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\nConnection: close", body.len());
        write!(stream, "{head}\r\n\r\n{body}").unwrap();
        request
    });

    let ended = run(command(DataDir::new().path(), &["health", "--url", &url]));

    assert_eq!(&unready.join().unwrap(), b"GET /health/ready HTTP/1.1");
    assert_eq!(ended.status.code(), Some(1));
    assert!(complaint(&ended).ends_with("/health/ready: not ready: the database does not answer"), "{ended:?}");
}

#[test]
fn a_url_that_can_not_be_asked_is_refused() {
    let data_dir = DataDir::new();

    let ended = run(command(data_dir.path(), &["health", "--url", "https://127.0.0.1:8443"]));

    assert_eq!(ended.status.code(), Some(2));
    assert!(complaint(&ended).contains("write a URL such as http://127.0.0.1:8080"), "{ended:?}");
}
