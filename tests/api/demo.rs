//! The page that shows live rooms, and its tokens: only where it is asked for.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roomkeeper::ably::Demo;
use roomkeeper::app::Settings;
use roomkeeper::auth::client_token::{self, Holder};
use serde_json::Value;

use crate::support::*;

/// A service with the page, and builds that stand for those of the packages.
async fn app() -> TestApp {
    let folder = tempfile::tempdir().unwrap();
    for (build, content) in
        [("ably/build/ably.min.js", "the client"), ("@ably/chat/dist/chat/ably-chat.umd.cjs", "its rooms")]
    {
        let file = folder.path().join("node_modules").join(build);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    let demo = Some(Demo::read(folder.path()).unwrap());
    let settings = Settings { demo, ..Setup::default().settings };
    Setup { settings, ..Setup::default() }.start().await
}

async fn get(app: &TestApp, path: &str) -> Answer {
    Request::new(app.address, app.now(), "GET", path).unsigned().send().await
}

fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn the_page_loads_the_builds_from_the_service_that_it_comes_from() {
    let app = app().await;

    let page = get(&app, "/demo").await;

    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, Some("text/html; charset=utf-8")));
    let text = String::from_utf8(page.bytes).unwrap();
    for (path, kind) in [
        ("/demo/page.css", "text/css; charset=utf-8"),
        ("/demo/page.js", "text/javascript; charset=utf-8"),
        ("/demo/ably.js", "text/javascript; charset=utf-8"),
        ("/demo/chat.js", "text/javascript; charset=utf-8"),
        ("/demo/icon.svg", "image/svg+xml"),
    ] {
        assert!(text.contains(&format!("\"{path}\"")), "{path}");
        let file = get(&app, path).await;
        assert_eq!((file.status, file.header("content-type")), (StatusCode::OK, Some(kind)), "{path}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(get(&app, "/demo/ably.js").await.bytes, b"the client");
    assert_eq!(get(&app, "/demo/chat.js").await.bytes, b"its rooms");
}

#[tokio::test]
async fn the_page_may_load_nothing_from_elsewhere() {
    let app = app().await;

    let page = get(&app, "/demo").await;

    let policy = format!(
        "default-src 'self'; connect-src 'self' ws://{0} wss://{0}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        app.address
    );
    assert_eq!(page.header("content-security-policy"), Some(&*policy));
}

#[tokio::test]
async fn a_token_is_for_whom_it_is_asked_and_works_for_an_hour() {
    let app = app().await;

    let answer = get(&app, "/demo/token?name=Ann%20%26%20Bob").await;

    assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, Some("no-store")));
    let token = answer.body["token"].as_str().unwrap();
    let now = app.now().timestamp_millis();
    let capability = r#"{"*":["publish","subscribe","presence","channel-metadata"]}"#;
    let told = json!({
        "token": token, "keyName": "dev.primary", "clientId": "Ann & Bob", "capability": capability,
        "issued": now, "expires": now + 60 * 60 * 1000,
    });
    assert_eq!(answer.body, told);
    assert_eq!(claims(token)["x-ably-clientId"], "Ann & Bob");
    let read = client_token::verify(&app.keys.current(), token, app.now()).unwrap();
    let Holder::Client { client_id, capability: allowed, .. } = read.holder else { panic!("{:?}", read.holder) };
    assert_eq!((client_id.as_deref(), allowed.as_deref()), (Some("Ann & Bob"), Some(capability)));
    assert_eq!(read.expires_at.timestamp_millis(), now + 60 * 60 * 1000);

    let occupancy = Request::new(app.address, app.now(), "GET", "/chat/v4/rooms/lobby/occupancy?")
        .unsigned()
        .header("Authorization", &format!("Bearer {token}"))
        .send()
        .await;
    assert_eq!((occupancy.status, occupancy.body), (StatusCode::OK, json!({"connections": 0, "presenceMembers": 0})));
}

#[tokio::test]
async fn a_token_is_for_one_client_that_has_a_name() {
    let app = app().await;

    for query in ["", "?name=", "?name=%20", "?name=*"] {
        let answer = get(&app, &format!("/demo/token{query}")).await;

        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let error =
            json!({"code": 40000, "statusCode": 400, "message": "say whom the token is for: /demo/token?name=ann"});
        assert_eq!(answer.body, json!({ "error": error }), "{query}");
    }
}

#[tokio::test]
async fn a_name_that_is_not_of_this_machine_gets_no_token_whatever_the_key() {
    let app = app().await;

    for (path, host) in [
        ("/demo", "evil.example"),
        ("/demo/token?name=ann", "evil.example:8080"),
        ("/%64emo/token?name=ann", "evil.example"),
        ("/demo/%74oken?name=ann", "evil.example"),
        ("//demo/token?name=ann", "evil.example"),
        ("///%64emo/token?name=ann", "evil.example"),
    ] {
        let answer = Request::new(app.address, app.now(), "GET", path).unsigned().host(host).send().await;

        assert_eq!((answer.status.as_u16(), &answer.body["error"]["code"]), (403, &json!(40300)), "{path}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains("--demo-for-anyone"), "{path}");
    }
    let page = Request::new(app.address, app.now(), "GET", "/demo/token?name=ann").unsigned();
    let page = page.header("Origin", "https://evil.example").send().await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let rooms = app.request("GET", "/rooms").host("rooms.example").send().await;
    assert_eq!(rooms.status, StatusCode::OK, "the key of the rooms is a secret");
}

#[tokio::test]
async fn without_the_setting_there_is_neither_the_page_nor_a_token() {
    let app = TestApp::start().await;

    for path in ["/demo", "/demo/", "/demo/page.js", "/demo/token?name=ann"] {
        assert_eq!(app.request("GET", path).unsigned().send().await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
