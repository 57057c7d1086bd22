//! What real clients, editors and proxies send beside what the specification shows.

use rstest::rstest;

use crate::support::*;

/// A signed GET, put together by hand: what is signed may differ from what is sent.
fn signed_get(app: &TestApp, path: &str, signed_host: &str, sent_host: &str, date_header: &str) -> Request {
    let target = format!("{path}?api-version=2025-03-13");
    let (date, content) = (http_date(app.now()), hash(b""));
    let signature = sign(KEY, &format!("GET\n{target}\n{date};{signed_host};{content}"));
    let date_name = date_header.to_lowercase();
    app.request("GET", &target)
        .unsigned()
        .host(sent_host)
        .header(date_header, &date)
        .header("x-ms-content-sha256", &content)
        .header(
            "Authorization",
            &format!("HMAC-SHA256 SignedHeaders={date_name};host;x-ms-content-sha256&Signature={signature}"),
        )
}

#[rstest]
#[case::without_an_offset("2026-12-01T10:21:00.549335", "2026-12-01T10:21:00.549335+00:00")]
#[case::as_az_sends_it("2026-12-01T10:21", "2026-12-01T10:21:00+00:00")]
#[case::a_date_alone("2026-12-02", "2026-12-02T00:00:00+00:00")]
#[tokio::test]
async fn an_instant_without_an_offset_is_utc(#[case] sent: &str, #[case] wanted: &str) {
    let app = TestApp::start().await;
    let window = json!({ "validFrom": "2026-11-30", "validUntil": sent });

    let made = app.post("/rooms", window.clone()).await;
    let room = format!("/rooms/{}", made.body["id"].as_str().unwrap());
    let changed = app.patch(&room, window).await;

    assert_eq!((made.status, &made.body["validUntil"]), (StatusCode::CREATED, &json!(wanted)));
    assert_eq!((changed.status, &changed.body["validUntil"]), (StatusCode::OK, &json!(wanted)));
}

#[tokio::test]
async fn the_last_date_of_javascript_is_too_far() {
    let app = TestApp::start().await;

    let answer = app.post("/rooms", json!({ "validUntil": "+275760-09-13T00:00:00Z" })).await;

    let too_far = ("ValidUntil", "The time range is incorrect, or larger than 180 days.");
    assert_eq!((answer.status, answer.details()), (StatusCode::BAD_REQUEST, vec![too_far]));
}

#[tokio::test]
async fn a_client_that_leaves_out_the_port_gets_links_that_it_can_follow() {
    let app = TestApp::start().await;
    for _ in 0..31 {
        app.room(json!({})).await;
    }

    let first = app.request("GET", "/rooms").host("localhost").send().await;
    let link = first.body["nextLink"].as_str().unwrap();
    assert!(link.starts_with("/rooms?nextLink="), "{link}");
    let second = app.request("GET", link).host("localhost").send().await;
    assert_eq!(second.body["value"].as_array().unwrap().len(), 1);

    // A proxy that says by which scheme it was called has the scheme's own port.
    let proxied = app.request("GET", "/rooms").host("localhost").header("X-Forwarded-Proto", "https").send().await;
    assert!(proxied.body["nextLink"].as_str().unwrap().starts_with("https://localhost/rooms?"));
}

#[rstest]
#[case::sent_without_the_port(true, false)]
#[case::signed_without_the_port(false, true)]
#[tokio::test]
async fn the_port_may_be_left_out_of_what_is_signed_or_sent(#[case] signs_port: bool, #[case] sends_port: bool) {
    let app = TestApp::start().await;
    let host = |has_port| if has_port { format!("localhost:{}", app.address.port()) } else { "localhost".to_owned() };

    let answer = signed_get(&app, "/rooms", &host(signs_port), &host(sends_port), "x-ms-date").send().await;

    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn a_client_of_the_first_version_signs_its_date_header() {
    let app = TestApp::start().await;
    let host = app.address.to_string();

    assert_eq!(signed_get(&app, "/rooms", &host, &host, "Date").send().await.status, StatusCode::OK);

    app.clock.advance(TimeDelta::minutes(16));
    let late = signed_get(&app, "/rooms", &host, &host, "Date").header("Date", &http_date(app.now())).send().await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED, "two dates");
}

#[rstest]
#[case("sat, 21 nov 2026 01:07:52 gmt")]
#[case("SAT, 21 NOV 2026 01:07:52 GMT")]
#[tokio::test]
async fn a_date_may_have_any_case(#[case] date: &str) {
    let app = TestApp::start().await;

    let answer = app.request("GET", "/rooms").date(date).send().await;

    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[rstest]
#[case("https, http")]
#[case("HTTPS")]
#[case("https,http,http")]
#[tokio::test]
async fn the_first_proxy_says_by_which_scheme_it_was_called(#[case] schemes: &str) {
    let app = TestApp::start().await;
    for _ in 0..31 {
        app.room(json!({})).await;
    }

    let page = app.request("GET", "/rooms").header("X-Forwarded-Proto", schemes).send().await;

    assert!(page.body["nextLink"].as_str().unwrap().starts_with("https://"), "{page:?}");
}

#[tokio::test]
async fn a_base_url_that_ends_in_a_slash_reaches_every_route() {
    let app = TestApp::start().await;
    let room = app.room(json!({})).await;
    let call = |method: &'static str, path: String| Request::new(app.address, app.now(), method, &path);

    let version = "api-version=2023-10-01";
    let user = call("POST", format!("//identities?{version}")).send().await;
    let time = call("GET", "//time".to_owned()).unsigned().send().await;

    assert_eq!(call("GET", "//rooms".to_owned()).send().await.status, StatusCode::OK);
    assert_eq!(call("GET", format!("//rooms/{room}/participants")).send().await.status, StatusCode::OK);
    assert_eq!((user.status, time.status), (StatusCode::CREATED, StatusCode::OK), "{user:?}");
    assert!(user.header("api-supported-versions").unwrap().ends_with("2023-10-01"), "those of Identity: {user:?}");
    let named = call("PUT", "//rooms/by-name/kitchen".to_owned()).json(&json!({})).send().await;
    assert_eq!((named.status, &named.body["name"]), (StatusCode::CREATED, &json!("kitchen")), "{named:?}");
}

#[rstest]
#[case::null_of_generated_clients("/rooms", b"null")]
#[case::null_for_a_user("/identities", b"null")]
#[case::a_byte_order_mark("/rooms", b"\xef\xbb\xbf{}")]
#[case::a_byte_order_mark_alone("/rooms", b"\xef\xbb\xbf")]
#[tokio::test]
async fn a_body_that_says_nothing_is_as_none(#[case] path: &str, #[case] body: &[u8]) {
    let app = TestApp::start().await;

    let answer = app.request("POST", path).header("Content-Type", "application/json").body(body).send().await;

    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
}

#[rstest]
#[case::null("PATCH", "null")]
#[case::a_list("POST", "[]")]
#[case::a_string("POST", "\"x\"")]
#[tokio::test]
async fn a_body_that_is_no_object_is_refused_in_the_clients_terms(#[case] method: &str, #[case] body: &str) {
    let app = TestApp::start().await;
    let room = app.room(json!({})).await;
    let path = if method == "PATCH" { format!("/rooms/{room}") } else { "/rooms".to_owned() };

    let answer = app.request(method, &path).header("Content-Type", "application/json").body(body).send().await;

    let (target, told) = answer.details()[0];
    assert_eq!((answer.status, target), (StatusCode::BAD_REQUEST, "$"));
    assert!(told.contains("a JSON object"), "{told}");
    assert!(!told.contains("struct"), "{told}");
}

#[tokio::test]
async fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
    let app = TestApp::start().await;

    let made = app.post("/identities", json!({ "createTokenWithScopes": ["chat"], "expiresInMinutes": 60.0 })).await;
    let none = app.post("/identities", json!({ "createTokenWithScopes": null, "expiresInMinutes": 60 })).await;
    let half = app.post("/identities", json!({ "createTokenWithScopes": ["chat"], "expiresInMinutes": 60.5 })).await;

    assert_eq!((made.status, none.status), (StatusCode::CREATED, StatusCode::CREATED), "{made:?} {none:?}");
    assert_eq!(none.body.get("accessToken"), None);
    assert_eq!(half.status, StatusCode::BAD_REQUEST);
    assert!(half.error().2.contains("a whole number is expected"), "{half:?}");
}

#[tokio::test]
async fn a_token_for_no_scopes_is_refused_in_the_words_of_the_vendors_service() {
    let app = TestApp::start().await;
    let user = app.post("/identities", json!({})).await;
    let path = format!("/identities/{}/:issueAccessToken", user.body["identity"]["id"].as_str().unwrap());

    let refused = app.post(&path, json!({ "scopes": [] })).await;

    let (status, code, message) = refused.error();
    assert_eq!((status, code, &refused.body["error"]["target"]), (400, "ValidationError", &json!("scopes")));
    assert!(message.starts_with("Invalid scopes - Scopes field is required. Scopes must name"), "{message}");
}

#[tokio::test]
async fn another_scheme_is_told_which_one_is_taken() {
    let app = TestApp::start().await;
    let asked = async |authorization: &str| {
        let answer = app.request("GET", "/rooms").unsigned().header("Authorization", authorization).send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        answer.header("www-authenticate").map(str::to_owned)
    };

    assert_eq!(asked("Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln").await.as_deref(), Some("HMAC-SHA256"));
    let of_another = app.request("GET", "/rooms").key("b3RoZXI=").send().await;
    assert_eq!(of_another.header("www-authenticate"), None, "as the vendor's service answers those who sign");
}

#[rstest]
#[case::welcome("/", false)]
#[case::document("/openapi.yaml", false)]
#[case::keys("/.well-known/jwks.json", false)]
#[case::time("/time", false)]
#[case::page("/docs/", false)]
#[case::page_without_a_slash("/docs", false)]
#[case::rooms("/rooms", true)]
#[tokio::test]
async fn head_is_answered_as_get_without_a_body(#[case] path: &str, #[case] is_signed: bool) {
    let app = TestApp::start().await;
    let call = |method: &str| {
        let request = Request::new(app.address, app.now(), method, path);
        if is_signed { request } else { request.unsigned() }
    };

    let (get, head) = (call("GET").send().await, call("HEAD").send().await);

    assert_eq!((head.status, head.bytes.len()), (get.status, 0), "{head:?}");
    assert_eq!(head.header("content-type"), get.header("content-type"));
}
