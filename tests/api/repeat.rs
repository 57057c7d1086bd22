//! A create that is sent again (acs-rooms.md, section 3, repeatability).

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::Value;

use crate::support::*;

const ID: &str = "0b8d1b8e-8f3c-4d43-9a3b-6a36f9a0a001";

fn create(app: &TestApp, id: &str, first_sent: &str, body: &Value) -> Request {
    app.request("POST", "/rooms")
        .header("Repeatability-Request-ID", id)
        .header("Repeatability-First-Sent", first_sent)
        .json(body)
}

#[tokio::test]
async fn the_same_request_twice_makes_one_room() {
    let app = TestApp::start().await;
    let (sent, body) = (http_date(app.now()), json!({ "participants": { ANN: {} } }));

    let first = create(&app, ID, &sent, &body).send().await;
    app.clock.advance(TimeDelta::minutes(5));
    let second = create(&app, ID, &sent, &body).send().await;

    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.bytes, second.bytes);
    for name in ["location", "repeatability-result", "content-type"] {
        assert_eq!(first.header(name), second.header(name));
    }
    assert_eq!(second.header("repeatability-result"), Some("accepted"));
    assert_eq!(app.count_rooms().await, 1);
}

#[tokio::test]
async fn forty_at_once_make_one_room() {
    let app = TestApp::start().await;
    let (sent, body) = (http_date(app.now()), json!({ "participants": { ANN: {} } }));

    let answers = join_all((0..40).map(|_| create(&app, ID, &sent, &body).send())).await;

    assert!(answers.iter().all(|answer| answer.status == StatusCode::CREATED), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.bytes == answers[0].bytes));
    assert_eq!(app.count_rooms().await, 1);
}

#[tokio::test]
async fn the_first_answer_is_given_again_when_the_room_was_changed_or_deleted_since() {
    let app = TestApp::start().await;
    let (sent, body) = (http_date(app.now()), json!({}));
    let first = create(&app, ID, &sent, &body).send().await;
    let room = format!("/rooms/{}", first.body["id"].as_str().unwrap());

    app.patch(&room, json!({ "pstnDialOutEnabled": true })).await;
    assert_eq!(create(&app, ID, &sent, &body).send().await.bytes, first.bytes);

    app.delete(&room).await;
    let again = create(&app, ID, &sent, &body).send().await;
    assert_eq!((again.status, again.bytes), (StatusCode::CREATED, first.bytes));
    assert_eq!(app.count_rooms().await, 0);
}

#[tokio::test]
async fn the_first_answer_is_given_again_when_its_dates_have_passed() {
    let app = TestApp::start().await;
    let sent = http_date(app.now());
    let body = json!({ "validUntil": "2026-11-21T02:00:00Z" });
    let first = create(&app, ID, &sent, &body).send().await;

    app.clock.advance(TimeDelta::hours(3));
    let again = create(&app, ID, &sent, &body).send().await;

    assert_eq!((again.status, again.bytes), (StatusCode::CREATED, first.bytes));
}

#[tokio::test]
async fn an_answer_is_remembered_for_a_day() {
    let app = TestApp::start().await;
    let (sent, body) = (http_date(app.now()), json!({}));
    create(&app, ID, &sent, &body).send().await;

    app.clock.advance(TimeDelta::hours(24) - TimeDelta::seconds(2));
    assert_eq!(create(&app, ID, &sent, &body).send().await.status, StatusCode::CREATED);
    assert_eq!(app.count_rooms().await, 1);

    app.clock.advance(TimeDelta::seconds(4));
    let late = create(&app, ID, &sent, &body).send().await;
    assert_eq!((late.status.as_u16(), late.error().1), (412, "PreconditionFailed"));

    // The id is free again for a request of today.
    let anew = create(&app, ID, &http_date(app.now()), &body).send().await;
    assert_eq!((anew.status, app.count_rooms().await), (StatusCode::CREATED, 2));
}

#[tokio::test]
async fn the_same_id_with_something_else_is_refused() {
    let app = TestApp::start().await;
    let (sent, body) = (http_date(app.now()), json!({}));
    create(&app, ID, &sent, &body).send().await;
    let earlier = http_date(app.now() - TimeDelta::seconds(1));

    let over = json!({ "validUntil": "2020-01-01T00:00:00Z" });
    for request in [
        create(&app, ID, &sent, &json!({ "pstnDialOutEnabled": true })),
        create(&app, ID, &earlier, &body),
        create(&app, ID, &sent, &over), // told before the rules of the window are looked at
    ] {
        let answer = request.send().await;
        assert_eq!((answer.status.as_u16(), answer.error().1), (400, "BadRequest"));
        assert!(answer.error().2.starts_with("The Repeatability-Request-ID was used before"));
    }
    assert_eq!(app.count_rooms().await, 1);
}

#[tokio::test]
async fn only_what_made_a_room_is_remembered() {
    let app = TestApp::start().await;
    let sent = http_date(app.now());

    let refused = create(&app, ID, &sent, &json!({ "validUntil": "2020-01-01T00:00:00Z" })).send().await;
    let made = create(&app, ID, &sent, &json!({})).send().await;

    assert_eq!((refused.status, made.status), (StatusCode::BAD_REQUEST, StatusCode::CREATED));
}

#[rstest]
#[case::an_id_alone(&[("Repeatability-Request-ID", ID)], 400)]
#[case::a_date_alone(&[("Repeatability-First-Sent", "Sat, 21 Nov 2026 01:07:52 GMT")], 400)]
#[case::no_uuid(&[("Repeatability-Request-ID", "7"), ("Repeatability-First-Sent", "Sat, 21 Nov 2026 01:07:52 GMT")], 400)]
#[case::no_date(&[("Repeatability-Request-ID", ID), ("Repeatability-First-Sent", "2026-11-21T01:07:52Z")], 400)]
#[case::a_day_ago(&[("Repeatability-Request-ID", ID), ("Repeatability-First-Sent", "Fri, 20 Nov 2026 01:07:52 GMT")], 412)]
#[case::too_far_ahead(&[("Repeatability-Request-ID", ID), ("Repeatability-First-Sent", "Sat, 21 Nov 2026 01:22:53 GMT")], 412)]
#[tokio::test]
async fn headers_that_can_not_be_meant_are_refused(#[case] headers: &[(&str, &str)], #[case] status: u16) {
    let app = TestApp::start().await;

    let request = app.request("POST", "/rooms").json(&json!({}));
    let answer = headers.iter().fold(request, |r, (name, value)| r.header(name, value)).send().await;

    assert_eq!(answer.error().0, status);
    assert_eq!(app.count_rooms().await, 0);
}

#[rstest]
#[case::within_the_day("Fri, 20 Nov 2026 01:08:00 GMT")]
#[case::a_clock_ahead("Sat, 21 Nov 2026 01:22:52 GMT")]
#[tokio::test]
async fn a_first_sending_within_the_window_is_taken(#[case] sent: &str) {
    let app = TestApp::start().await;

    assert_eq!(create(&app, ID, sent, &json!({})).send().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn without_the_headers_each_request_makes_a_room() {
    let app = TestApp::start().await;

    app.room(json!({})).await;
    app.room(json!({})).await;

    assert_eq!(app.count_rooms().await, 2);
}

#[tokio::test]
async fn a_create_that_meets_a_taken_room_id_is_still_remembered() {
    let one = TestApp::start().await;
    let other = Setup { database: Some(one.database.clone()), ..Setup::default() }.start().await;
    let sent = http_date(one.now());
    one.room(json!({})).await; // takes the id that the other would make

    let first = create(&other, ID, &sent, &json!({})).send().await;
    let again = create(&one, ID, &sent, &json!({})).send().await;

    assert_eq!((first.status, &first.bytes), (StatusCode::CREATED, &again.bytes));
    assert_eq!(one.count_rooms().await, 2);
}
