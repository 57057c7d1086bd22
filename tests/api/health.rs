//! Probes, and the description of the API.

use crate::support::*;

#[tokio::test]
async fn a_service_that_works_is_live_and_ready_without_a_key() {
    let app = TestApp::start().await;

    let live = app.request("GET", "/health/live").unsigned().send().await;
    let ready = app.request("GET", "/health/ready").unsigned().send().await;

    assert_eq!((live.status, live.body), (StatusCode::OK, json!({ "status": "live" })));
    assert_eq!((ready.status, ready.body), (StatusCode::OK, json!({ "status": "ready" })));
}

#[tokio::test]
async fn a_probe_may_be_a_head_and_nothing_else() {
    let app = TestApp::start().await;

    for path in ["/health/live", "/health/ready"] {
        let head = app.request("HEAD", path).unsigned().send().await;
        let post = app.request("POST", path).unsigned().send().await;
        assert_eq!((head.status, head.bytes.len()), (StatusCode::OK, 0));
        assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn the_description_of_the_api_is_served_without_a_key() {
    let app = TestApp::start().await;

    let answer = app.request("GET", "/openapi.yaml").unsigned().send().await;

    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("application/yaml")));
    assert_eq!(answer.bytes, include_bytes!("../../openapi.yaml"));
}

#[tokio::test]
async fn a_service_that_is_stopping_tells_probes_to_send_nobody() {
    let app = TestApp::start().await;

    app.draining.cancel();

    for probe in ["/health/live", "/health/ready"] {
        let answer = app.request("GET", probe).unsigned().send().await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["reason"]),
            (503, &json!("the service is stopping")),
            "{probe}"
        );
    }
    assert_eq!(app.get("/rooms").await.status, StatusCode::OK);
}
