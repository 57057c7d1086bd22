//! The description of the API as a page.

use crate::support::*;

async fn get(app: &TestApp, path: &str) -> Answer {
    app.request("GET", path).unsigned().send().await
}

#[tokio::test]
async fn the_page_is_found_without_a_key_and_without_a_slash() {
    let app = TestApp::start().await;

    let from = get(&app, "/docs").await;
    let page = get(&app, "/docs/").await;

    assert_eq!((from.status, from.header("location")), (StatusCode::PERMANENT_REDIRECT, Some("docs/")));
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, Some("text/html")));
}

#[tokio::test]
async fn the_page_shows_the_file_that_is_served_beside_it() {
    let app = TestApp::start().await;

    let script = get(&app, "/docs/swagger-initializer.js").await;

    let text = String::from_utf8(script.bytes).unwrap();
    assert!(text.contains(r#"url: "../openapi.yaml""#), "{text}");
}

#[tokio::test]
async fn the_page_may_load_nothing_from_elsewhere() {
    let app = TestApp::start().await;

    let page = get(&app, "/docs/").await;

    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("http") && !policy.contains('*'), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
}
