//! `roomkeeper sign`, and curl with what it prints.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::service::{DataDir, Service, command, complaint, run};

/// What curl is answered: the status, and the body.
fn curl(args: &[&str], stdin: &str) -> (String, String) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--write-out", "\n%{http_code}"]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = curl.spawn().expect("curl is installed by script/test");
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[test]
fn curl_makes_a_room_with_the_headers_that_are_printed() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);
    let http = data_dir.endpoint().unwrap()["http"].as_str().unwrap().to_owned();
    let target = "/rooms?api-version=2025-03-13";
    let body = data_dir.join("room.json");
    std::fs::write(&body, r#"{"pstnDialOutEnabled":true}"#).unwrap();

    let signed = run(command(data_dir.path(), &["sign", "post", target, "--body", body.to_str().unwrap()]));
    assert!(signed.status.success(), "{signed:?}");
    let (status, room) = curl(
        &[
            "--header",
            "@-",
            "--header",
            "Content-Type: application/json",
            "--data-binary",
            &format!("@{}", body.display()),
            &format!("{http}{target}"),
        ],
        &signed.stdout,
    );

    assert_eq!(status, "201", "{room}");
    assert!(room.contains(r#""pstnDialOutEnabled":true"#), "{room}");
    service.stop();
}

#[test]
fn one_line_of_curl_makes_a_room() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);
    let endpoint = data_dir.endpoint().unwrap();
    let user = format!("primary:{}", endpoint["accessKey"].as_str().unwrap());

    let url = format!("{}/rooms?api-version=2025-03-13", endpoint["http"].as_str().unwrap());
    let (status, room) = curl(&["--user", &user, "--request", "POST", &url], "");

    assert_eq!(status, "201", "{room}");
    service.stop();
}

#[test]
fn without_a_service_here_it_says_what_is_missing() {
    let data_dir = DataDir::new();

    let ended = run(command(data_dir.path(), &["sign", "GET", "/rooms"]));

    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(complaint(&ended).contains("--url is needed, as no service runs here"), "{ended:?}");
}
