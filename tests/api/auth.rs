//! Signatures (acs-rooms.md, sections 8 and 10).

use chrono::DateTime;
use roomkeeper::acs::PublicHost;
use roomkeeper::app::Settings;
use roomkeeper::config::DEVELOPMENT_KEY;
use rstest::rstest;
use serde::Deserialize;

use crate::support::*;

#[derive(Deserialize)]
struct Vectors {
    key: String,
    requests: Vec<Vector>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    method: String,
    target: String,
    host: String,
    date: String,
    content_hash: String,
    signature: String,
    #[serde(default)]
    body: String,
    content_type: Option<String>,
}

fn vectors() -> Vec<Vector> {
    let vectors: Vectors = serde_json::from_str(include_str!("../vectors/acs-signatures.json")).unwrap();
    assert_eq!(vectors.key, KEY);
    vectors.requests
}

impl Vector {
    /// As the client sent it.
    async fn send(&self, app: &TestApp) -> Answer {
        let date = DateTime::parse_from_rfc2822(&self.date).map_or(app.now(), |date| date.to_utc());
        app.clock.advance(date - app.now());
        let request = app
            .request(&self.method, &self.target)
            .unsigned()
            .host(&self.host)
            .header("x-ms-date", &self.date)
            .header("x-ms-content-sha256", &self.content_hash)
            .header("Authorization", &authorization(&self.signature))
            .body(self.body.clone());
        let request = match &self.content_type {
            Some(kind) => request.header("Content-Type", kind),
            None => request,
        };
        request.send().await
    }
}

#[tokio::test]
async fn every_captured_request_of_the_clients_is_let_in() {
    let app = TestApp::start().await;

    for vector in vectors() {
        let answer = vector.send(&app).await;
        // A user of another resource is refused with the same status, behind the door.
        let denied = answer.status == StatusCode::UNAUTHORIZED && answer.error().1 == "Denied";
        assert!(!denied, "{}: {answer:?}", vector.name);
    }
}

#[tokio::test]
async fn every_captured_request_with_one_bit_flipped_is_denied() {
    let app = TestApp::start().await;
    let flip = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        String::from_utf8(bytes).unwrap()
    };

    for vector in vectors() {
        let mut wrong = Vec::new();
        for at in [0, 20, 42] {
            wrong.push((Vector { signature: flip(&vector.signature, at), ..vector.clone() }, DENIED));
            wrong.push((Vector { content_hash: flip(&vector.content_hash, at), ..vector.clone() }, DENIED));
        }
        let date = flip(&vector.date, vector.date.len() - " GMT".len() - 1);
        wrong.push((Vector { date, ..vector.clone() }, DENIED));
        wrong.push((Vector { host: flip(&vector.host, vector.host.len() - 1), ..vector.clone() }, DENIED));
        // In a room's id only: elsewhere the target would be no route, or name no version.
        if let Some((before, _)) = vector.target.split_once(['9', 'c']).filter(|(before, _)| before.contains("/rooms/"))
        {
            wrong.push((Vector { target: flip(&vector.target, before.len()), ..vector.clone() }, DENIED));
        }
        if !vector.body.is_empty() {
            wrong.push((Vector { body: flip(&vector.body, vector.body.len() - 3), ..vector.clone() }, OTHER_HASH));
        }
        for (wrong, refusal) in wrong {
            let answer = wrong.send(&app).await;
            assert_eq!(answer.error(), refusal, "{}", wrong.name);
            assert_eq!(answer.header("www-authenticate"), None);
        }
    }
    assert_eq!(app.count_rooms().await, 0);
}

const DENIED: (u16, &str, &str) = (401, "Denied", "Denied by the resource provider.");
const OTHER_HASH: (u16, &str, &str) =
    (401, "Denied", "Request 'x-ms-content-sha256' differs from generated content hash.");

#[rstest]
#[case::nothing(&[], DENIED)]
#[case::a_bearer(&[("Authorization", "Bearer abc")], DENIED)]
#[case::no_date(&[("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=AAAA"), ("x-ms-content-sha256", "x")], DENIED)]
#[case::no_hash(&[("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=AAAA"), ("x-ms-date", "Sat, 21 Nov 2026 01:07:52 GMT")], DENIED)]
#[case::another_hash(&[("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=AAAA"), ("x-ms-date", "Sat, 21 Nov 2026 01:07:52 GMT"), ("x-ms-content-sha256", "x")], DENIED)]
#[case::no_base64(&[("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=%%"), ("x-ms-date", "Sat, 21 Nov 2026 01:07:52 GMT"), ("x-ms-content-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")], DENIED)]
#[case::an_empty_signature(&[("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="), ("x-ms-date", "Sat, 21 Nov 2026 01:07:52 GMT"), ("x-ms-content-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")], DENIED)]
#[tokio::test]
async fn what_is_not_signed_is_denied(#[case] headers: &[(&str, &str)], #[case] wanted: (u16, &str, &str)) {
    let app = TestApp::start().await;

    let request = app.request("GET", "/rooms").unsigned();
    let answer = headers.iter().fold(request, |r, (name, value)| r.header(name, value)).send().await;

    assert_eq!(answer.error(), wanted);
}

#[tokio::test]
async fn a_signature_over_other_headers_is_denied() {
    let app = TestApp::start().await;
    let (date, empty) = (http_date(app.now()), hash(b""));
    let target = "/rooms?api-version=2025-03-13";
    let signature = sign(KEY, &format!("GET\n{target}\n{date};{};{empty}", app.address));

    let send = async |list: &str| {
        let header = format!("HMAC-SHA256 SignedHeaders={list}&Signature={signature}");
        let request = app.request("GET", target).unsigned().header("Authorization", &header);
        request.header("x-ms-date", &date).header("x-ms-content-sha256", &empty).send().await
    };

    assert_eq!(send("x-ms-date;host;x-ms-content-sha256").await.status, StatusCode::OK);
    assert_eq!(send("x-ms-date;host").await.error(), DENIED);
    assert_eq!(send("host;x-ms-date;x-ms-content-sha256").await.error(), DENIED);
}

/// A signed GET of a path, whose target and host in the signature the test chooses.
async fn signed_as(app: &TestApp, wire: (&str, &str), signed: (&str, &str)) -> Answer {
    let (date, empty) = (http_date(app.now()), hash(b""));
    let signature = sign(KEY, &format!("GET\n{}\n{date};{};{empty}", signed.0, signed.1));
    app.request("GET", wire.0)
        .unsigned()
        .host(wire.1)
        .header("x-ms-date", &date)
        .header("x-ms-content-sha256", &empty)
        .header("Authorization", &authorization(&signature))
        .send()
        .await
}

const LIST: &str = "/rooms?api-version=2025-03-13";

#[rstest]
#[case::as_on_the_wire("rooms.test:8080", "rooms.test:8080")]
#[case::with_the_default_port("rooms.test", "rooms.test:80")]
#[case::with_a_trailing_slash("rooms.test:8080", "rooms.test:8080/")]
#[case::default_port_and_slash("rooms.test", "rooms.test:80/")]
#[tokio::test]
async fn the_host_may_be_signed_as_the_clients_spell_it(#[case] wire: &str, #[case] signed: &str) {
    let app = TestApp::start().await;

    assert_eq!(signed_as(&app, (LIST, wire), (LIST, signed)).await.status, StatusCode::OK);
}

#[rstest]
#[case::another_host("rooms.test:8080", "evil.test:8080")]
#[case::another_port("rooms.test:8080", "rooms.test:80")]
#[case::another_letter_case("rooms.test:8080", "Rooms.test:8080")]
#[tokio::test]
async fn another_host_is_denied(#[case] wire: &str, #[case] signed: &str) {
    let app = TestApp::start().await;

    assert_eq!(signed_as(&app, (LIST, wire), (LIST, signed)).await.error(), DENIED);
}

#[rstest]
#[case::another_letter_case((LIST, "localhost:80"), (LIST, "LocalHost:80"))]
#[case::a_proxys_name((LIST, "10.0.0.1:80"), (LIST, "rooms.example"))]
#[case::a_proxys_name_with_a_slash((LIST, "10.0.0.1:80"), (LIST, "rooms.example/"))]
#[case::a_prefix((LIST, "10.0.0.1:80"), ("/acs/rooms?api-version=2025-03-13", "rooms.example:8443/acs"))]
#[tokio::test]
async fn a_configured_public_host_may_be_signed(#[case] wire: (&str, &str), #[case] signed: (&str, &str)) {
    let public_hosts: Vec<PublicHost> =
        ["LocalHost:80", "rooms.example", "rooms.example:8443/acs"].map(|host| host.parse().unwrap()).into();
    let setup = Setup::default();
    let app = Setup { settings: Settings { public_hosts, ..setup.settings }, ..Setup::default() }.start().await;

    assert_eq!(signed_as(&app, wire, signed).await.status, StatusCode::OK);
}

#[rstest]
#[case::raw("/rooms?a=b%20c~*'()!&api-version=2025-03-13", "/rooms?a=b%20c~*'()!&api-version=2025-03-13")]
#[case::decoded("/rooms?a=b%20c%C3%A9+d&api-version=2025-03-13", "/rooms?a=b cé+d&api-version=2025-03-13")]
#[case::form_encoded(
    "/rooms?a=b%20c~*'()!&api-version=2025-03-13",
    "/rooms?a=b+c%7E*%27%28%29%21&api-version=2025-03-13"
)]
#[tokio::test]
async fn the_target_may_be_signed_as_the_clients_spell_it(#[case] wire: &str, #[case] signed: &str) {
    let app = TestApp::start().await;

    assert_eq!(signed_as(&app, (wire, "h:1"), (signed, "h:1")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_development_key_of_another_instance_opens_nothing_here() {
    let local = Setup::default().settings;
    let local = Settings { access_key: DEVELOPMENT_KEY.to_owned(), ..local };
    let local = Setup { settings: local, ..Setup::default() }.start().await;
    let insert = "WITH made AS (INSERT INTO resources (id, name, created_at) VALUES (gen_random_uuid(), 'other', now()) RETURNING id)
                  INSERT INTO access_keys (resource_id, name, secret) SELECT id, 'primary', $1 FROM made";
    sqlx::query(insert).bind(DEVELOPMENT_KEY).execute(&local.db).await.unwrap();

    let app = Setup { database: Some(local.database.clone()), ..Setup::default() }.start().await;
    let answer = app.request("GET", "/rooms").key(DEVELOPMENT_KEY).send().await;

    assert_eq!(answer.error(), DENIED);
    assert_eq!(app.get("/rooms").await.status, StatusCode::OK);
}

#[tokio::test]
async fn both_keys_of_a_resource_are_good_and_the_secondary_stays_over_restarts() {
    let app = TestApp::start().await;
    let secondary = async || -> String {
        let query = "SELECT secret FROM access_keys WHERE name = 'secondary'";
        sqlx::query_scalar(query).fetch_one(&app.db).await.unwrap()
    };
    let key = secondary().await;

    assert_eq!(app.request("GET", "/rooms").key(&key).send().await.status, StatusCode::OK);
    let settings = Settings { access_key: "bmV3LXByaW1hcnktYWNjZXNzLWtleQ==".to_owned(), ..Setup::default().settings };
    let restarted = Setup { settings, database: Some(app.database.clone()), ..Setup::default() }.start().await;

    assert_eq!(secondary().await, key);
    assert_eq!(restarted.request("GET", "/rooms").key(&key).send().await.status, StatusCode::OK);
    assert_eq!(
        restarted.request("GET", "/rooms").key("bmV3LXByaW1hcnktYWNjZXNzLWtleQ==").send().await.status,
        StatusCode::OK
    );
    assert_eq!(restarted.request("GET", "/rooms").send().await.error(), DENIED);
}

#[rstest]
#[case::behind("Sat, 21 Nov 2026 00:52:53 GMT", true)]
#[case::ahead("Sat, 21 Nov 2026 01:22:52 GMT", true)]
#[case::too_far_behind("Sat, 21 Nov 2026 00:52:51 GMT", false)]
#[case::too_far_ahead("Sat, 21 Nov 2026 01:22:53 GMT", false)]
#[case::unreadable("2026-11-21T01:07:52Z", false)]
#[tokio::test]
async fn a_date_may_be_a_quarter_of_an_hour_off(#[case] date: &str, #[case] fine: bool) {
    let app = TestApp::start().await;

    let answer = app.request("GET", "/rooms").date(date).send().await;

    if fine {
        assert_eq!(answer.status, StatusCode::OK);
    } else {
        assert_eq!((answer.status.as_u16(), answer.error().1), (401, "Denied"));
    }
}

#[rstest]
#[case::wider(Some(TimeDelta::days(2)))]
#[case::off(None)]
#[tokio::test]
async fn how_far_a_date_may_be_off_is_configured(#[case] clock_skew: Option<TimeDelta>) {
    let settings = Settings { clock_skew, ..Setup::default().settings };
    let app = Setup { settings, ..Setup::default() }.start().await;

    let answer = app.request("GET", "/rooms").date("Fri, 20 Nov 2026 01:07:52 GMT").send().await;

    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn the_signature_is_judged_before_the_date() {
    let app = TestApp::start().await;

    let answer = app.request("GET", "/rooms").date("Fri, 20 Nov 2020 01:07:52 GMT").key("AAAA").send().await;

    assert_eq!(answer.error(), DENIED);
}

#[tokio::test]
async fn a_signature_may_come_again() {
    let app = TestApp::start().await;
    let send = async || app.request("POST", "/rooms").json(&json!({})).send().await.status;

    // JavaScript signs once for all its tries.
    assert_eq!([send().await, send().await], [StatusCode::CREATED, StatusCode::CREATED]);
}

/// A request whose body is not the one that was signed: none was.
fn signed_without_its_body(app: &TestApp, upgrade: &str) -> Request {
    let (date, empty) = (http_date(app.now()), hash(b""));
    let target = "/rooms?api-version=2025-03-13";
    let signature = sign(KEY, &format!("POST\n{target}\n{date};{};{empty}", app.address));
    app.request("POST", target)
        .unsigned()
        .header("x-ms-date", &date)
        .header("x-ms-content-sha256", &empty)
        .header("Authorization", &authorization(&signature))
        .header("Content-Type", "application/json")
        .header("Connection", "Upgrade, close")
        .header("Upgrade", "h2c")
        .header("Upgrade", upgrade)
        .body(r#"{"pstnDialOutEnabled":true}"#)
}

#[rstest]
#[case::to_http_2("h2c", StatusCode::UNAUTHORIZED)]
#[case::to_nothing("", StatusCode::UNAUTHORIZED)]
#[case::to_a_web_socket("WebSocket", StatusCode::BAD_REQUEST)]
#[tokio::test]
async fn an_upgrade_smuggles_no_body_past_the_signature(#[case] upgrade: &str, #[case] status: StatusCode) {
    let app = TestApp::start().await;

    let answer = signed_without_its_body(&app, upgrade).send().await;

    assert_eq!(answer.error().0, status.as_u16());
    assert_eq!(app.count_rooms().await, 0);
}

#[tokio::test]
async fn an_offer_to_upgrade_does_not_keep_a_signed_body_out() {
    let app = TestApp::start().await;

    let request =
        app.request("POST", "/rooms").header("Connection", "Upgrade, HTTP2-Settings, close").header("Upgrade", "h2c");
    let answer = request.json(&json!({ "pstnDialOutEnabled": true })).send().await;

    assert_eq!((answer.status, &answer.body["pstnDialOutEnabled"]), (StatusCode::CREATED, &json!(true)));
}

#[rstest]
#[case("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=x")]
#[case("x-ms-date", "Sat, 21 Nov 2026 01:07:52 GMT")]
#[case("x-ms-content-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")]
#[tokio::test]
async fn a_signed_header_that_comes_twice_is_refused(#[case] name: &str, #[case] value: &str) {
    let app = TestApp::start().await;

    let answer = app.request("GET", "/rooms").header(name, value).send().await;

    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
}
