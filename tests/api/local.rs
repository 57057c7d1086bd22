//! With the key that everybody knows, the service is for this machine alone: its names, and its pages.

use std::time::Duration;

use roomkeeper::app::Settings;
use roomkeeper::config::DEVELOPMENT_KEY;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

/// A service with the development key.
async fn with_development_key(cors_origins: &[&str]) -> TestApp {
    let cors_origins = cors_origins.iter().map(|origin| (*origin).to_owned()).collect();
    let access_key = DEVELOPMENT_KEY.to_owned();
    let settings = Settings { access_key, cors_origins, ..Setup::default().settings };
    Setup { settings, ..Setup::default() }.start().await
}

/// A signed request, by whatever name.
fn signed(app: &TestApp, method: &str, path: &str) -> Request {
    Request::new(app.address, app.now(), method, path).key(DEVELOPMENT_KEY)
}

fn live_key() -> String {
    format!("key=dev.primary:{}", DEVELOPMENT_KEY.replace('=', "%3D"))
}

/// A call of live rooms.
fn live(app: &TestApp, path: &str) -> Request {
    signed(app, "GET", &format!("{path}?{}", live_key())).unsigned()
}

async fn socket(app: &TestApp, headers: &[(&'static str, &str)]) -> Option<u16> {
    Socket::with_headers(app, &live_key(), headers).await.err()
}

fn upgrade(app: &TestApp) -> Request {
    live(app, "/")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// The answer, of which a socket that opens after all is none.
async fn refusal(request: Request) -> Answer {
    tokio::time::timeout(Duration::from_secs(10), request.send()).await.expect("a refusal")
}

#[rstest]
#[case::another_name("evil.example")]
#[case::with_a_port("evil.example:8080")]
#[case::that_begins_alike("localhost.evil.example")]
#[case::that_ends_alike("evillocalhost")]
#[case::an_address_of_the_network("192.168.1.5:8080")]
#[case::every_address("0.0.0.0:8080")]
#[case::a_user_before_it("localhost@evil.example")]
#[case::nothing("")]
#[tokio::test]
async fn a_signed_request_by_another_name_makes_no_room(#[case] host: &str) {
    let app = with_development_key(&[]).await;

    let answer = signed(&app, "POST", "/rooms").host(host).json(&json!({})).send().await;

    let (status, code, message) = answer.error();
    assert_eq!((status, code), (403, "Forbidden"));
    assert!(message.contains("localhost") && message.contains("--access-key"), "{message}");
    for name in ["x-ms-request-id", "ms-cv", "api-supported-versions"] {
        assert!(answer.header(name).is_some(), "{name}");
    }
    assert_eq!(app.count_rooms().await, 0);
}

#[rstest]
#[case("localhost")]
#[case("LocalHost:8080")]
#[case("localhost.")]
#[case("rooms.localhost:3000")]
#[case("127.0.0.1")]
#[case("127.8.9.1:80")]
#[case("[::1]")]
#[case("[::1]:8080")]
#[tokio::test]
async fn a_signed_request_by_a_name_of_this_machine_makes_a_room(#[case] host: &str) {
    let app = with_development_key(&[]).await;

    let answer = signed(&app, "POST", "/rooms").host(host).json(&json!({})).send().await;

    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
}

#[tokio::test]
async fn every_route_refuses_another_name_in_the_form_of_its_surface() {
    let app = with_development_key(&[]).await;

    for path in [
        "/rooms",
        "/rooms/994059543455768051/participants",
        "/identities",
        "/.well-known/jwks.json",
        "/docs/",
        "/openapi.yaml",
        "/no/such/path",
    ] {
        let answer = signed(&app, "GET", path).host("evil.example").send().await;
        assert_eq!((answer.error().0, answer.error().1), (403, "Forbidden"), "{path}");
    }
    for path in [
        "/time",
        "/chat/v4/rooms/lobby/occupancy",
        "/channels/lobby",
        "/keys/dev.primary/requestToken",
        "/comet/connect",
        "/demo",
        "/demo/token",
    ] {
        let answer = live(&app, path).host("evil.example").send().await;
        let error = &answer.body["error"];
        assert_eq!(
            (answer.status.as_u16(), &error["code"], &error["statusCode"]),
            (403, &json!(40300), &json!(403)),
            "{path}"
        );
        assert!(error["message"].as_str().unwrap().contains("--access-key"), "{path}");
        assert_eq!(answer.header("x-ably-errorcode"), Some("40300"), "{path}");
    }
    for request in [upgrade(&app), live(&app, "/")] {
        let answer = refusal(request.host("evil.example")).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::FORBIDDEN, Some("text/plain; charset=utf-8"))
        );
        assert!(String::from_utf8(answer.bytes).unwrap().contains("--access-key"));
    }
}

#[tokio::test]
async fn a_socket_is_opened_by_a_name_of_this_machine_alone() {
    let app = with_development_key(&[]).await;

    assert_eq!(socket(&app, &[("host", "evil.example")]).await, Some(403));
    assert_eq!(socket(&app, &[("host", "evil.example"), ("origin", "http://evil.example")]).await, Some(403));
    assert_eq!(socket(&app, &[("host", "localhost:8080")]).await, None);
}

#[tokio::test]
async fn a_request_that_names_no_host_or_two_is_refused() {
    let app = with_development_key(&[]).await;
    for head in [
        "GET /time HTTP/1.0\r\n\r\n",
        "GET /time HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "GET http://evil.example/time HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let status = Answer::read(&answer).status.as_u16();
        assert!([400, 403].contains(&status), "{head}: {status}");
    }
}

#[tokio::test]
async fn probes_are_answered_by_whatever_name() {
    let app = with_development_key(&[]).await;

    for path in ["/health/live", "/health/ready"] {
        let answer = signed(&app, "GET", path).unsigned().host("10.1.2.3:8080").send().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
}

#[rstest]
#[case::another_site("https://evil.example")]
#[case::that_begins_alike("http://localhost.evil.example")]
#[case::a_sandboxed_frame_or_a_file("null")]
#[case::another_machine("http://192.168.1.5:3000")]
#[case::a_user_before_it("http://localhost@evil.example")]
#[case::another_scheme("chrome-extension://localhost")]
#[tokio::test]
async fn a_page_of_another_site_is_refused(#[case] origin: &str) {
    let app = with_development_key(&[]).await;

    let signed = signed(&app, "POST", "/rooms").header("Origin", origin).json(&json!({})).send().await;
    let live = live(&app, "/chat/v4/rooms/lobby/occupancy").header("Origin", origin).send().await;
    let preflight = Request::new(app.address, app.now(), "OPTIONS", "/time").unsigned();
    let preflight = preflight.header("Origin", origin).header("Access-Control-Request-Method", "GET").send().await;

    assert_eq!(signed.error().0, 403);
    assert!(signed.error().2.contains("--cors-origin"), "{signed:?}");
    assert_eq!((live.status.as_u16(), &live.body["error"]["code"]), (403, &json!(40300)));
    assert_eq!(preflight.status, StatusCode::FORBIDDEN);
    for answer in [&signed, &live, &preflight] {
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert_eq!(socket(&app, &[("origin", origin)]).await, Some(403));
    assert_eq!(app.count_rooms().await, 0);
}

#[rstest]
#[case("http://localhost:3000")]
#[case("http://127.0.0.1:5173")]
#[case("https://app.localhost")]
#[case("http://[::1]:8080")]
#[tokio::test]
async fn a_page_of_this_machine_calls_live_rooms(#[case] origin: &str) {
    let app = with_development_key(&[]).await;

    let answer = live(&app, "/chat/v4/rooms/lobby/occupancy").header("Origin", origin).send().await;

    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::OK, Some(origin)));
    assert_eq!(socket(&app, &[("origin", origin)]).await, None);
}

#[tokio::test]
async fn an_origin_that_was_named_may_call_with_the_development_key() {
    for allowed in ["https://app.example", "*"] {
        let app = with_development_key(&[allowed]).await;
        let from = [("origin", "https://app.example")];

        let answer = live(&app, "/time").header("Origin", from[0].1).send().await;

        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::OK, Some(from[0].1)));
        assert_eq!(socket(&app, &from).await, None, "{allowed}");
        let rebound = live(&app, "/time").header("Origin", from[0].1).host("app.example").send().await;
        assert_eq!(rebound.status, StatusCode::FORBIDDEN, "an origin is no name of this machine");
    }
}

#[tokio::test]
async fn with_a_key_of_its_own_the_service_answers_to_any_name_and_live_rooms_to_any_page() {
    let app = TestApp::start().await;
    let from = [("host", "rooms.example"), ("origin", "https://app.example")];

    let made = app.request("POST", "/rooms").host("rooms.example").json(&json!({})).send().await;
    let live = Request::new(app.address, app.now(), "GET", &format!("/channels/lobby?{LIVE_KEY}")).unsigned();
    let live = live.host("rooms.example").header("Origin", from[1].1).send().await;

    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!((live.status, live.header("access-control-allow-origin")), (StatusCode::OK, Some(from[1].1)));
    assert_eq!(Socket::with_headers(&app, LIVE_KEY, &from).await.err(), None);
}
