//! Why a signature was refused, for those who asked to be told (`--explain-auth`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roomkeeper::app::Settings;
use rstest::rstest;
use serde_json::Value;

use crate::bodies::create_signed_over;
use crate::support::*;

const TARGET: &str = "/rooms?api-version=2025-03-13";

async fn explaining() -> TestApp {
    let settings = Settings { explain_auth: true, ..Setup::default().settings };
    Setup { settings, ..Setup::default() }.start().await
}

/// What was told of a request that was refused as it is documented.
fn told(answer: &Answer) -> &Value {
    assert_eq!((answer.status.as_u16(), answer.error().1), (401, "Denied"));
    let told = &answer.body["error"]["innererror"];
    assert!(told["reason"].is_string(), "{answer:?}");
    assert_eq!(told["serverTime"], "Sat, 21 Nov 2026 01:07:52 GMT");
    told
}

/// A GET whose signature is over a text of the test's.
fn signed_over(app: &TestApp, key: &str, date: &str, content_hash: &str, text: &str) -> Request {
    app.request("GET", TARGET)
        .unsigned()
        .header("x-ms-date", date)
        .header("x-ms-content-sha256", content_hash)
        .header("Authorization", &authorization(&sign(key, text)))
}

#[tokio::test]
async fn without_the_setting_nothing_more_than_the_documented_text_is_told() {
    let app = TestApp::start().await;

    let answer = app.request("GET", "/rooms").key("AAAA").send().await;

    assert_eq!(answer.body, json!({ "error": { "code": "Denied", "message": "Denied by the resource provider." } }));
}

#[tokio::test]
async fn what_is_not_found_is_left_open_and_every_string_that_was_tried_is_told() {
    let app = explaining().await;

    let answer = app.request("GET", "/rooms").key("AAAA").send().await;

    let told = told(&answer);
    assert_eq!(told.get("differs"), None);
    assert!(told["reason"].as_str().unwrap().ends_with("if one is equal, the key is another one"));
    let host = app.address;
    let text = |host: &str| {
        format!("GET\n{TARGET}\nSat, 21 Nov 2026 01:07:52 GMT;{host};47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
    };
    assert_eq!(
        told["stringsToSign"],
        json!([text(&host.to_string()), text(&host.ip().to_string()), text(&format!("{host}/"))])
    );
    assert!(!answer.body.to_string().contains(KEY));
}

#[tokio::test]
async fn the_text_of_the_key_in_place_of_its_bytes_is_told() {
    let app = explaining().await;

    let answer = app.request("GET", "/rooms").key(&STANDARD.encode(KEY)).send().await;

    assert_eq!(told(&answer)["differs"], "key");
    assert_eq!(told(&answer)["reason"], "the key's text was used as it is: decode it from base64 first");
}

#[tokio::test]
async fn another_host_is_told() {
    let app = explaining().await;
    let (date, empty) = (http_date(app.now()), hash(b""));
    let signed = format!("localhost:{}", app.address.port());

    let text = format!("GET\n{TARGET}\n{date};{signed};{empty}");
    let answer = signed_over(&app, KEY, &date, &empty, &text).send().await;

    assert_eq!(told(&answer)["differs"], "host");
    let reason = format!("signed for the host {signed}; the request came to {}", app.address);
    assert_eq!(told(&answer)["reason"], reason);
}

#[tokio::test]
async fn the_host_that_a_proxy_was_called_by_is_told() {
    let app = explaining().await;
    let (date, empty) = (http_date(app.now()), hash(b""));

    let text = format!("GET\n{TARGET}\n{date};rooms.example;{empty}");
    let request = signed_over(&app, KEY, &date, &empty, &text).header("X-Forwarded-Host", "rooms.example");

    assert_eq!(told(&request.send().await)["differs"], "host");
}

#[tokio::test]
async fn a_date_too_far_off_is_told() {
    let app = explaining().await;

    let answer = app.request("GET", "/rooms").date("Sat, 21 Nov 2026 02:07:52 GMT").send().await;

    assert_eq!(told(&answer)["differs"], "date");
    let reason = "x-ms-date is 3599 s ahead of this server's clock, and at most 900 s are tolerated";
    assert_eq!(told(&answer)["reason"], reason);
}

#[tokio::test]
async fn another_date_than_the_one_that_was_signed_is_told() {
    let app = explaining().await;
    let (date, empty) = (http_date(app.now()), hash(b""));
    let signed = "Sat, 21 Nov 2026 01:07:51 GMT";

    let text = format!("GET\n{TARGET}\n{signed};{};{empty}", app.address);
    let answer = signed_over(&app, KEY, &date, &empty, &text).header("Date", signed).send().await;

    assert_eq!(told(&answer)["differs"], "date");
}

#[tokio::test]
async fn another_body_than_the_one_that_was_hashed_is_told_with_its_hash() {
    let app = explaining().await;
    let date = http_date(app.now());

    let answer = signed_over(&app, KEY, &date, &hash(b"another"), "any").send().await;

    assert_eq!(told(&answer)["differs"], "content hash");
    assert!(told(&answer)["reason"].as_str().unwrap().contains(&hash(b"")));
}

#[rstest]
#[case::whose_signature_is_good(KEY, "Request 'x-ms-content-sha256' differs from generated content hash.")]
#[case::whose_signature_is_not("AAAA", "Denied by the resource provider.")]
#[tokio::test]
async fn the_hash_of_a_body_is_told_beside_the_documented_text(#[case] key: &str, #[case] text: &str) {
    let app = explaining().await;

    let answer = create_signed_over(&app, key, &hash(b"{}")).body("{ }").send().await;

    assert_eq!(answer.error().2, text);
    assert_eq!(told(&answer)["differs"], "content hash");
    assert!(told(&answer)["reason"].as_str().unwrap().contains(&hash(b"{ }")));
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_to_explain_a_signature() {
    let app = explaining().await;
    let chunk = format!("{:x}\r\n{}\r\n", 1_100_000, "y".repeat(1_100_000));

    let request = create_signed_over(&app, "AAAA", &hash(b"{}")).header("Transfer-Encoding", "chunked");
    let answer = request.body(format!("{chunk}0\r\n\r\n")).send().await;

    assert_eq!(answer.error().2, "Denied by the resource provider.");
    assert_eq!(told(&answer).get("differs"), None);
}

#[tokio::test]
async fn a_signature_over_the_hash_of_nothing_is_told() {
    let app = explaining().await;
    let date = http_date(app.now());

    let text = format!("POST\n{TARGET}\n{date};{};{}", app.address, hash(b""));
    let request = app
        .request("POST", TARGET)
        .unsigned()
        .header("x-ms-date", &date)
        .header("x-ms-content-sha256", &hash(b"{}"))
        .header("Authorization", &authorization(&sign(KEY, &text)))
        .header("Content-Type", "application/json")
        .body("{}");

    assert_eq!(told(&request.send().await)["differs"], "content hash");
}

#[rstest]
#[case::nothing(&[], "Authorization")]
#[case::no_date(&[("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=AAAA")], "x-ms-date")]
#[case::a_bearer(&[("Authorization", "Bearer x")], "Authorization")]
#[tokio::test]
async fn what_is_missing_is_told(#[case] headers: &[(&str, &str)], #[case] differs: &str) {
    let app = explaining().await;

    let request = app.request("GET", TARGET).unsigned();
    let answer = headers.iter().fold(request, |r, (name, value)| r.header(name, value)).send().await;

    assert_eq!(told(&answer)["differs"], differs);
    assert_eq!(told(&answer).get("stringsToSign"), None);
}

/// Java's client sends what it signed.
#[rstest]
#[case::the_key("{verb}\n{target}\n{date};{host};{hash}", "key")]
#[case::the_host("{verb}\n{target}\n{date};elsewhere;{hash}", "host")]
#[case::the_date("{verb}\n{target}\nyesterday;{host};{hash}", "date")]
#[case::the_hash("{verb}\n{target}\n{date};{host};AAAA", "content hash")]
#[case::the_target("{verb}\n/elsewhere\n{date};{host};{hash}", "target")]
#[tokio::test]
async fn a_client_that_sends_what_it_signed_is_told_the_part(#[case] sent: &str, #[case] differs: &str) {
    let app = explaining().await;
    let (date, empty, host) = (http_date(app.now()), hash(b""), app.address.to_string());

    let sent = [("{verb}", "GET"), ("{target}", TARGET), ("{date}", &date), ("{host}", &host), ("{hash}", &empty)]
        .iter()
        .fold(sent.to_owned(), |text, (name, value)| text.replace(name, value));
    let request = signed_over(&app, "AAAA", &date, &empty, &sent);
    let answer = request.header("x-ms-hmac-string-to-sign-base64", &STANDARD.encode(&sent)).send().await;

    assert_eq!(told(&answer)["differs"], differs);
}

#[rstest]
#[case::the_method("get\n{target}\n{date};{host};{hash}", "method")]
#[case::the_path_alone("GET\n/rooms\n{date};{host};{hash}", "target")]
#[case::the_whole_url("GET\nhttp://{host}{target}\n{date};{host};{hash}", "target")]
#[tokio::test]
async fn a_part_that_is_often_signed_otherwise_is_told(#[case] signed: &str, #[case] differs: &str) {
    let app = explaining().await;
    let (date, empty, host) = (http_date(app.now()), hash(b""), app.address.to_string());

    let text = [("{target}", TARGET), ("{date}", &date), ("{host}", &host), ("{hash}", &empty)]
        .iter()
        .fold(signed.to_owned(), |text, (name, value)| text.replace(name, value));
    let answer = signed_over(&app, KEY, &date, &empty, &text).send().await;

    assert_eq!(told(&answer)["differs"], differs);
}

#[rstest]
#[case::hexadecimal("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
#[case::no_base64("not base64!")]
#[tokio::test]
async fn a_signature_that_can_be_none_is_told(#[case] signature: &str) {
    let app = explaining().await;

    let request = app
        .request("GET", TARGET)
        .unsigned()
        .header("x-ms-date", &http_date(app.now()))
        .header("x-ms-content-sha256", &hash(b""))
        .header("Authorization", &authorization(signature));

    assert_eq!(told(&request.send().await)["differs"], "Authorization");
}

#[tokio::test]
async fn a_request_of_any_length_gets_a_short_answer() {
    let app = explaining().await;

    let target = format!("/rooms?api-version=2025-03-13&x={}", "%20".repeat(4_000));
    let answer = app.request("GET", &target).key("AAAA").send().await;

    assert_eq!(told(&answer).get("stringsToSign"), None);
    assert!(answer.bytes.len() < 1024, "{} bytes", answer.bytes.len());
}
