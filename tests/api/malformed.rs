//! Bodies that are no request: refused with a 4xx, whatever they are, and without effect.

use rstest::rstest;

use crate::bodies::create_signed_over;
use crate::support::*;

async fn send(app: &TestApp, method: &str, path: &str, body: &[u8]) -> Answer {
    app.request(method, path).header("Content-Type", "application/json").body(body).send().await
}

#[rstest]
#[case::no_json(b"nonsense", "$")]
#[case::cut_off(b"{\"pstnDialOutEnabled\":", "$.pstnDialOutEnabled")]
#[case::something_behind(b"{} {}", "$")]
#[case::blank(b"   ", "$")]
#[case::an_array(b"[]", "$")]
#[case::a_string(b"\"x\"", "$")]
#[case::no_utf8(b"{\"x\":\"\xff\xfe\"}", "$")]
#[case::a_number_beyond_measure(b"{\"x\":1e999999}", "$.x")]
#[case::a_lone_surrogate(b"{\"validFrom\":\"\\ud800\"}", "$.validFrom")]
#[case::a_member_twice(b"{\"validFrom\":null,\"validFrom\":null}", "$")]
#[case::a_number_for_a_date(b"{\"validFrom\":5}", "$.validFrom")]
#[case::an_object_for_a_date(b"{\"validUntil\":{}}", "$.validUntil")]
#[case::text_for_a_flag(b"{\"pstnDialOutEnabled\":\"yes\"}", "$.pstnDialOutEnabled")]
#[tokio::test]
async fn a_body_that_can_not_be_read_says_where(#[case] body: &[u8], #[case] target: &str) {
    let app = TestApp::start().await;
    let room = format!("/rooms/{}", app.room(json!({})).await);

    for (method, path) in [("POST", "/rooms"), ("PATCH", &room)] {
        let answer = send(&app, method, path, body).await;
        assert_eq!(answer.error(), (400, "BadRequest", MALFORMED), "{method}");
        assert_eq!(answer.details().len(), 1);
        assert_eq!(answer.details()[0].0, target, "{method}: {answer:?}");
    }
    assert_eq!(app.count_rooms().await, 1);
}

#[rstest]
#[case::an_array_for_the_map(r#"{"participants":[]}"#, "$.participants")]
#[case::text_for_the_map(r#"{"participants":"x"}"#, "$.participants")]
#[case::an_array_for_a_participant(r#"{"participants":{"a":[]}}"#, "$.participants.a")]
#[case::text_for_a_participant(r#"{"participants":{"a":"Presenter"}}"#, "$.participants.a")]
#[case::a_number_for_a_role(r#"{"participants":{"a":{"role":7}}}"#, "$.participants.a.role")]
#[case::a_role_twice(r#"{"participants":{"a":{"role":null,"role":null}}}"#, "$.participants.a")]
#[tokio::test]
async fn a_roster_that_can_not_be_read_says_where(#[case] body: &str, #[case] target: &str) {
    let app = TestApp::start().await;
    let room = app.room(json!({})).await;

    for (method, path) in [("POST", "/rooms"), ("PATCH", &format!("/rooms/{room}/participants"))] {
        let answer = send(&app, method, path, body.as_bytes()).await;
        assert_eq!(answer.error(), (400, "BadRequest", MALFORMED), "{method}");
        assert_eq!(answer.details()[0].0, target, "{method}: {answer:?}");
    }
}

#[rstest]
#[case::of_a_known_member(format!(r#"{{"validFrom":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000)))]
#[case::of_an_unknown_member(format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000)))]
#[case::of_objects(format!("{}1{}", r#"{"x":"#.repeat(50_000), "}".repeat(50_000)))]
#[tokio::test]
async fn json_too_deep_to_be_meant_is_refused(#[case] body: String) {
    let app = TestApp::start().await;

    let answer = send(&app, "POST", "/rooms", body.as_bytes()).await;

    assert_eq!(answer.error(), (400, "BadRequest", MALFORMED));
    assert_eq!(app.count_rooms().await, 0);
}

#[tokio::test]
async fn an_answer_does_not_grow_with_what_it_repeats() {
    let app = TestApp::start().await;
    let long = "x".repeat(500_000);
    let room = app.room(json!({})).await;
    let participants = format!("/rooms/{room}/participants");

    for body in [
        json!({ "participants": { long.as_str(): {} } }),
        json!({ "participants": { long.as_str(): { "role": "Kafka" } } }),
        json!({ "participants": { long.as_str(): { "role": 5 } } }),
        json!({ "participants": { ANN: { "role": long } } }),
    ] {
        let answer = app.patch(&participants, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.bytes.len() < 4096, "{} bytes", answer.bytes.len());
    }
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_read_and_one_byte_more_is_not() {
    let app = TestApp::start().await;
    let of = |size: usize| format!(r#"{{"x":"{}"}}"#, "y".repeat(size - 8));

    let fits = send(&app, "POST", "/rooms", of(1024 * 1024).as_bytes()).await;
    let exceeds = send(&app, "POST", "/rooms", of(1024 * 1024 + 1).as_bytes()).await;

    assert_eq!(fits.status, StatusCode::CREATED);
    assert_eq!((exceeds.status.as_u16(), exceeds.error().1), (413, "PayloadTooLarge"));
    assert_eq!(app.count_rooms().await, 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_before_its_signature_if_it_declares_its_length() {
    let app = TestApp::start().await;
    let chunk = format!("{:x}\r\n{}\r\n", 700_000, "y".repeat(700_000));

    let unsigned = app.request("POST", "/rooms").unsigned().body("y".repeat(2 * 1024 * 1024)).send().await;
    let in_chunks =
        |request: Request| request.header("Transfer-Encoding", "chunked").body(format!("{chunk}{chunk}0\r\n\r\n"));
    let chunked_by_a_stranger = in_chunks(app.request("POST", "/rooms").unsigned()).send().await;
    let chunked = in_chunks(create_signed_over(&app, KEY, &hash(b"{}"))).send().await;

    assert_eq!((unsigned.status.as_u16(), unsigned.error().1), (413, "PayloadTooLarge"));
    assert_eq!(chunked_by_a_stranger.error(), (401, "Denied", "Denied by the resource provider."));
    assert_eq!((chunked.status.as_u16(), chunked.error().1), (413, "PayloadTooLarge"));
}
