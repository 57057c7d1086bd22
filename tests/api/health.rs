//! Probes.

use crate::support::*;

#[tokio::test]
async fn a_service_that_works_is_live_and_ready_without_a_key() {
    let app = TestApp::start().await;

    let live = app.request("GET", "/health/live").unsigned().send().await;
    let ready = app.request("GET", "/health/ready").unsigned().send().await;

    assert_eq!((live.status, live.body), (StatusCode::OK, json!({ "status": "live" })));
    assert_eq!((ready.status, ready.body), (StatusCode::OK, json!({ "status": "ready" })));
}
