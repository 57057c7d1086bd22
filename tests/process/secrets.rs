//! The log holds no secret, and no line that a client wrote.

use crate::service::{DataDir, Service, command, make_room, request};
use crate::wire::KEY;

#[tokio::test]
async fn a_key_in_a_query_is_not_logged() {
    let data_dir = DataDir::new();
    let service = Service::spawn(command(data_dir.path(), &["--log", "debug"]));
    let encoded = KEY.replace('=', "%3D");

    let good = format!("/channels/lobby?key=dev.primary:{encoded}");
    let bad = format!("/channels/lobby?key=dev.nobodys:{encoded}");
    let statuses = [
        request(&data_dir, "GET", &good).unsigned().send().await.status.as_u16(),
        request(&data_dir, "GET", &bad).unsigned().send().await.status.as_u16(),
    ];

    assert_eq!(statuses, [200, 401]);
    let log = service.stop().stderr;
    assert!(log.contains("/channels/lobby"), "{log}");
    assert!(!log.contains(KEY.trim_end_matches('=')), "{log}");
}

#[tokio::test]
async fn what_a_client_sends_makes_no_line_of_its_own_in_the_log() {
    let data_dir = DataDir::new();
    let flags = ["--log", "debug", "--log-format", "pretty"];
    let service = Service::spawn(command(data_dir.path(), &flags));
    let room = make_room(&data_dir).await;
    let forged = "2026-11-21T01:07:52.123456Z  INFO roomkeeper: swept";
    let raw_id = format!("8:acs:nobody\n{forged}\r\n\u{1b}[2J\u{85}{forged}");

    let body = serde_json::json!({ "participants": { raw_id: {} } });
    let participants = request(&data_dir, "PATCH", &format!("{room}/participants")).json(&body).send().await;
    let encoded = "%0A2026-11-21T01:07:52.123456Z%20%20INFO%20roomkeeper:%20swept";
    let path = request(&data_dir, "GET", &format!("/rooms/1{encoded}")).key("AAAA").send().await;

    assert_eq!((participants.status.as_u16(), path.status.as_u16()), (400, 401));
    let log = service.stop().stderr;
    assert!(log.contains("8:acs:nobody") && log.contains("/rooms/1%0A"), "{log}");
    let lines: Vec<&str> = log.split(['\n', '\r', '\u{85}']).collect();
    assert!(!lines.iter().any(|line| line.starts_with(forged)), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
}
