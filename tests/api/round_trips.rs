//! How often an operation asks the database and waits for its answer: once (design, section 3).

use std::num::NonZero;
use std::thread;

use rstest::rstest;
use serde_json::Value;

use crate::support::*;

/// What the operation itself asked. What tells the other replicas comes after its answer, and a connection that
/// rested for a second is asked whether it lives.
fn asked(wire: &Wire) -> Vec<RoundTrip> {
    let is_beside = |trip: &RoundTrip| trip.iter().all(|sql| sql.contains("pg_notify") || sql.starts_with("LISTEN"));
    wire.round_trips().into_iter().filter(|trip| !is_beside(trip)).collect()
}

#[rstest]
#[case::get("GET", "/rooms/{room}", json!(null))]
#[case::list("GET", "/rooms", json!(null))]
#[case::create("POST", "/rooms", json!({ "participants": { ANN: {}, BOB: {}, CID: {} } }))]
#[case::update("PATCH", "/rooms/{room}", json!({ "pstnDialOutEnabled": true }))]
#[case::patch("PATCH", "/rooms/{room}/participants", json!({ "participants": { ANN: null, BOB: {} } }))]
#[case::roster("GET", "/rooms/{room}/participants", json!(null))]
#[case::delete("DELETE", "/rooms/{room}", json!(null))]
#[tokio::test]
async fn an_operation_asks_the_database_once(#[case] method: &str, #[case] path: &str, #[case] body: Value) {
    let beside = TestApp::start().await;
    let wire = Wire::to(&beside.database).await;
    let app = Setup { database: Some(wire.database()), room_id_offset: 500, ..Setup::default() }.start().await;
    // Every thread of the service answers in turn, and prepares a statement when it first needs it.
    let threads = thread::available_parallelism().map_or(1, NonZero::get);

    let mut runs = Vec::new();
    for n in 0..3 * threads {
        let room = beside.room_with(json!({ ANN: {} })).await;
        let mut request = app.request(method, &path.replace("{room}", &room));
        if method == "POST" {
            request = request
                .header("Repeatability-Request-ID", &format!("0b8d1b8e-8f3c-4d43-9a3b-{n:012x}"))
                .header("Repeatability-First-Sent", &http_date(app.now()));
        }
        asked(&wire);
        let answer = if body.is_null() { request.send().await } else { request.json(&body).send().await };
        assert!(answer.status.is_success(), "{answer:?}");
        runs.push(asked(&wire));
    }

    for trips in &runs[2 * threads..] {
        assert_eq!(trips.len(), 1, "{trips:#?}");
    }
}
