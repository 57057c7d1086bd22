//! Browsers (acs-rooms.md, section 8, browser against node).

use roomkeeper::app::Settings;

use crate::support::*;

async fn app(origins: &[&str]) -> TestApp {
    let cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let settings = Settings { cors_origins, ..Setup::default().settings };
    Setup { settings, ..Setup::default() }.start().await
}

async fn preflight(app: &TestApp, origin: &str) -> Answer {
    app.request("OPTIONS", "/rooms")
        .unsigned()
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type,accept,x-ms-date,x-ms-content-sha256,x-ms-client-request-id,x-ms-useragent,\
             repeatability-request-id,repeatability-first-sent",
        )
        .send()
        .await
}

#[tokio::test]
async fn an_allowed_origin_may_call_and_read_what_it_needs() {
    let app = app(&["https://app.example"]).await;

    let preflight = preflight(&app, "https://app.example").await;
    let answer = app.request("GET", "/rooms/123").header("Origin", "https://app.example").send().await;

    assert!(preflight.status.is_success(), "{preflight:?}");
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example"));
    let methods = preflight.header("access-control-allow-methods").unwrap();
    assert!(["GET", "POST", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
    for name in ["x-ms-error-code", "x-ms-request-id", "location", "repeatability-result", "retry-after", "ms-cv"] {
        assert!(exposed.contains(name), "{name} in {exposed}");
    }
}

#[tokio::test]
async fn another_origin_is_told_nothing() {
    let app = app(&["https://app.example"]).await;

    assert_eq!(preflight(&app, "https://evil.example").await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_a_setting_no_origin_is_allowed() {
    let app = app(&[]).await;

    let answer = preflight(&app, "https://app.example").await;

    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn any_origin_can_be_allowed() {
    let app = app(&["*"]).await;

    assert!(preflight(&app, "https://whoever.example").await.header("access-control-allow-origin").is_some());
}
