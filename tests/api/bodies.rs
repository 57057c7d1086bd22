//! Bodies of strangers, and of many at once: what is read before it is known who sends it, and how much is held.

use std::time::Duration;

use futures_util::future::join_all;
use roomkeeper::app::Settings;
use rstest::rstest;
use tokio::time::{sleep, timeout};

use crate::support::*;

const MEBIBYTE: usize = 1024 * 1024;
/// How soon a request is answered that waits for nothing.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A create whose signature is right for `content_hash`, whatever the body is.
pub fn create_signed_over(app: &TestApp, key: &str, content_hash: &str) -> Request {
    let (date, target) = (http_date(app.now()), "/rooms?api-version=2025-03-13");
    let signature = sign(key, &format!("POST\n{target}\n{date};{};{content_hash}", app.address));
    app.request("POST", target)
        .unsigned()
        .header("x-ms-date", &date)
        .header("x-ms-content-sha256", content_hash)
        .header("Authorization", &authorization(&signature))
        .header("Content-Type", "application/json")
}

/// The answer, which is there before the body is, behind which the connection is closed.
async fn at_once(request: Request) -> Answer {
    let request = request.header("Connection", "keep-alive");
    timeout(AT_ONCE, request.send()).await.expect("an answer that does not wait for the body")
}

#[tokio::test]
async fn bodies_that_strangers_only_declare_are_refused_without_waiting_for_them() {
    let app = TestApp::start().await;
    let unsent = || create_signed_over(&app, "AAAA", &hash(b"{}")).header("Content-Length", &MEBIBYTE.to_string());

    for answer in join_all((0..300).map(|_| at_once(unsent()))).await {
        assert_eq!(answer.error(), (401, "Denied", "Denied by the resource provider."));
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[rstest]
#[case::without_a_signature("POST", "/rooms", 413)]
#[case::of_a_token_request("POST", "/keys/dev.primary/requestToken?x", 400)]
#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_before_a_byte_of_it_comes(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
) {
    let app = TestApp::start().await;
    let request = Request::new(app.address, app.now(), method, path).unsigned();

    let answer = at_once(request.header("Content-Length", &(MEBIBYTE + 1).to_string())).await;

    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
}

#[tokio::test]
async fn the_hash_of_the_body_is_told_only_to_those_who_signed() {
    let app = TestApp::start().await;
    let other_than_signed = async |key| create_signed_over(&app, key, &hash(b"{ }")).body("{}").send().await;

    let (signed, not_signed) = (other_than_signed(KEY).await, other_than_signed("AAAA").await);

    assert_eq!(signed.error().2, "Request 'x-ms-content-sha256' differs from generated content hash.");
    assert_eq!(not_signed.error().2, "Denied by the resource provider.");
    assert_eq!(app.count_rooms().await, 0);
}

const INNER: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

#[rstest]
#[case::whole("Content-Length", INNER.len().to_string(), INNER.to_owned())]
#[case::of_which_more_is_to_come("Content-Length", MEBIBYTE.to_string(), INNER.to_owned())]
#[case::in_a_chunk("Transfer-Encoding", "chunked".to_owned(), format!("{:x}\r\n{INNER}\r\n0\r\n\r\n", INNER.len()))]
#[tokio::test]
async fn a_body_that_was_refused_unread_is_not_taken_for_a_request(
    #[case] framing: &str,
    #[case] value: String,
    #[case] body: String,
) {
    let app = TestApp::start().await;
    let denied = create_signed_over(&app, "AAAA", &hash(body.as_bytes()));
    let no_token = Request::new(app.address, app.now(), "POST", "/keys/dev.primary/requestToken?x").unsigned();

    let denied = at_once(denied.header(framing, &value).body(body.clone())).await;
    assert_eq!(denied.error().0, 401, "the only answer, else it is no JSON");

    if value != MEBIBYTE.to_string() {
        let no_token = at_once(no_token.header(framing, &value).header("Upgrade", "websocket").body(body)).await;
        assert_eq!(no_token.status, 400);
        assert!(no_token.body.is_object(), "the only answer, else it is no JSON: {no_token:?}");
    }
}

#[tokio::test]
async fn a_refused_request_without_a_body_leaves_its_connection_open() {
    let app = TestApp::start().await;

    let request = app.request("GET", "/rooms").key("AAAA").header("Connection", "keep-alive");

    assert!(timeout(Duration::from_millis(500), request.send()).await.is_err(), "closed");
}

async fn with_memory_for_bodies(max_body_memory: usize) -> TestApp {
    let settings = Settings { max_body_memory, ..Setup::default().settings };
    Setup { settings, ..Setup::default() }.start().await
}

async fn until_left(app: &TestApp, bytes: usize) {
    let waited = timeout(AT_ONCE, async {
        while app.bodies.left() != bytes {
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{} bytes are left, not {bytes}", app.bodies.left());
}

#[tokio::test]
async fn bodies_beyond_the_memory_for_them_are_refused_until_a_client_has_gone() {
    let app = with_memory_for_bodies(600_000).await;
    let body = format!(r#"{{"x":"{}"}}"#, "y".repeat(500_000));
    let create = || create_signed_over(&app, KEY, &hash(body.as_bytes()));

    let half = create().header("Content-Length", &body.len().to_string()).body(&body.as_bytes()[..400_000]);
    let half = tokio::spawn(half.send());
    until_left(&app, 200_000).await;
    let refused = create().body(body.clone()).send().await;
    half.abort(); // breaks off in the middle of its body
    until_left(&app, 600_000).await;

    assert_eq!((refused.error().0, refused.error().1), (503, "ServiceUnavailable"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(create().body(body.clone()).send().await.status, 201);
}

#[tokio::test]
async fn memory_for_a_body_is_given_back_when_it_is_answered() {
    let app = with_memory_for_bodies(600_000).await;
    let body = |x: &str| format!(r#"{{"x":"{}"{x}"#, "y".repeat(500_000));

    for _ in 0..3 {
        let send = async |body: String| {
            app.request("POST", "/rooms").header("Content-Type", "application/json").body(body).send().await
        };
        assert_eq!(send(body("}")).await.status, 201);
        assert_eq!(send(body("")).await.status, 400);
        let changed = create_signed_over(&app, KEY, &hash(b"{}")).body(body("}"));
        assert_eq!(changed.send().await.status, 401);
    }
}

#[tokio::test]
async fn a_token_request_is_refused_where_there_is_no_memory_for_its_body() {
    let app = with_memory_for_bodies(10).await;
    let request = Request::new(app.address, app.now(), "POST", "/keys/dev.primary/requestToken?x").unsigned();

    let answer = request.json(&json!({ "keyName": "dev.primary" })).send().await;

    assert_eq!((answer.status.as_u16(), &answer.body["error"]["code"]), (503, &json!(50003)));
    assert_eq!(answer.header("retry-after"), Some("1"));
}
