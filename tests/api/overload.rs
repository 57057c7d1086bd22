//! More requests than the service may handle at once (docs/limits.md, "Overload").

use roomkeeper::app::Settings;

use crate::support::*;

/// A service that may handle no request at all.
async fn overloaded(origins: &[&str]) -> TestApp {
    let cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let settings = Settings { max_requests: 0, cors_origins, ..Setup::default().settings };
    Setup { settings, ..Setup::default() }.start().await
}

#[tokio::test]
async fn a_request_too_many_is_refused_and_has_no_effect() {
    let app = overloaded(&[]).await;

    let answer = app.request("POST", "/rooms").json(&json!({})).send().await;

    assert_eq!((answer.error().0, answer.error().1), (503, "ServiceUnavailable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    let rooms: i64 = sqlx::query_scalar("SELECT count(*) FROM rooms").fetch_one(&app.db).await.unwrap();
    assert_eq!(rooms, 0);
}

#[tokio::test]
async fn a_page_may_read_that_its_request_was_refused() {
    let app = overloaded(&["https://app.example"]).await;
    for path in ["/rooms", "/chat/v4/rooms/hall/occupancy"] {
        assert_eq!(allowed_origin(&app, path, "https://app.example").await.as_deref(), Some("https://app.example"));
        assert_eq!(allowed_origin(&app, path, "https://evil.example").await, None);
    }

    let app = overloaded(&[]).await;
    assert_eq!(allowed_origin(&app, "/rooms", "https://app.example").await, None);
    let of_live_rooms = allowed_origin(&app, "/time", "https://app.example").await;
    assert_eq!(of_live_rooms.as_deref(), Some("https://app.example"), "without a setting, any page may call them");
}

/// The origin that a refused request allows to read the answer.
async fn allowed_origin(app: &TestApp, path: &str, origin: &'static str) -> Option<String> {
    let answer = Request::new(app.address, app.now(), "GET", path).header("Origin", origin).send().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    answer.header("access-control-allow-origin").map(str::to_owned)
}

#[tokio::test]
async fn probes_and_preflights_are_answered_while_requests_are_refused() {
    let app = overloaded(&["https://app.example"]).await;

    let ready = app.request("GET", "/health/ready").unsigned().send().await;
    let preflight = app
        .request("OPTIONS", "/rooms")
        .unsigned()
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "POST")
        .send()
        .await;

    assert_eq!(ready.status, StatusCode::OK);
    assert!(preflight.status.is_success(), "{preflight:?}");
}
