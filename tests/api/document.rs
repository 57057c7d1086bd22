//! What the tests hold every answer against: openapi.yaml lets through no other.

use crate::support::*;

fn answer(status: StatusCode, body: &str) -> Answer {
    let names = ["x-ms-request-id", "ms-cv", "api-supported-versions", "x-ms-error-code"];
    let mut headers: Vec<_> = names.map(|name| (name.to_owned(), "some".to_owned())).into();
    headers.push(("content-type".to_owned(), "application/json; charset=utf-8".to_owned()));
    let body_read = serde_json::from_str(body).unwrap_or_default();
    Answer { status, headers, body: body_read, bytes: body.into() }
}

fn check(answer: &Answer) {
    document::check("GET", "/rooms?api-version=2025-03-13", answer);
}

#[test]
fn an_answer_as_described_is_let_through() {
    check(&answer(StatusCode::OK, r#"{"value":[]}"#));
}

#[test]
#[should_panic(expected = "the status 418 I'm a teapot")]
fn another_status_is_not() {
    check(&answer(StatusCode::IM_A_TEAPOT, "{}"));
}

#[test]
#[should_panic(expected = "\"value\" is a required property")]
fn another_body_is_not() {
    check(&answer(StatusCode::OK, r#"{"rooms":[]}"#));
}

#[test]
#[should_panic(expected = "is not a \"date-time\"")]
fn a_value_of_another_form_is_not() {
    let room = r#"{"id":"994059547015701969","createdAt":"today","validFrom":"2026-11-21T01:07:52+00:00",
        "validUntil":"2026-11-21T01:07:52+00:00","pstnDialOutEnabled":false}"#;
    check(&answer(StatusCode::OK, &format!(r#"{{"value":[{room}]}}"#)));
}

#[test]
#[should_panic(expected = "the header ms-cv is missing")]
fn a_head_that_lacks_something_is_not() {
    let mut answer = answer(StatusCode::OK, r#"{"value":[]}"#);
    answer.headers.retain(|(name, _)| name != "ms-cv");
    check(&answer);
}

#[test]
#[should_panic(expected = "the media type text/plain")]
fn another_media_type_is_not() {
    let mut answer = answer(StatusCode::OK, r#"{"value":[]}"#);
    answer.headers.retain(|(name, _)| name != "content-type");
    answer.headers.push(("content-type".to_owned(), "text/plain".to_owned()));
    check(&answer);
}
