//! The rules of the window, on create and on update (acs-rooms.md, section 7, body validation).

use chrono::{DateTime, SecondsFormat, Utc};
use rstest::rstest;
use serde_json::Value;

use crate::support::*;

const FUTURE: (&str, &str) = ("ValidFrom", "Value is incorrect or more than 180 days in the future.");
const PAST: (&str, &str) = ("ValidUntil", "The time range end is in the past.");
const RANGE: (&str, &str) = ("ValidUntil", "The time range is incorrect, or larger than 180 days.");

/// So many hours from now, as a client writes it; none for `None`.
fn at(now: DateTime<Utc>, hours: Option<i64>) -> Value {
    hours.map_or(Value::Null, |h| (now + TimeDelta::hours(h)).to_rfc3339_opts(SecondsFormat::Micros, true).into())
}

const DAY: i64 = 24;

#[rstest]
#[case::too_long(Some(0), Some(180 * DAY + 1), &[RANGE])]
#[case::too_long_from_the_past(Some(-1), Some(180 * DAY), &[RANGE])]
#[case::turned_round(Some(2), Some(1), &[RANGE])]
#[case::empty(Some(1), Some(1), &[RANGE])]
#[case::over(Some(-2), Some(-1), &[PAST])]
#[case::over_now(Some(-2), Some(0), &[PAST])]
#[case::over_wins_over_order(Some(5), Some(-1), &[PAST])]
#[case::starts_too_late(Some(180 * DAY + 1), Some(181 * DAY), &[FUTURE])]
#[case::starts_too_late_and_too_long(Some(181 * DAY), Some(400 * DAY), &[FUTURE, RANGE])]
#[case::starts_too_late_and_over(Some(181 * DAY), Some(-1), &[FUTURE, PAST])]
#[tokio::test]
async fn a_wrong_window_is_refused_on_create_and_update_alike(
    #[case] from: Option<i64>,
    #[case] until: Option<i64>,
    #[case] details: &[(&str, &str)],
) {
    let app = TestApp::start().await;
    let made = app.post("/rooms", json!({})).await.body;
    let room = format!("/rooms/{}", made["id"].as_str().unwrap());
    let window = json!({ "validFrom": at(app.now(), from), "validUntil": at(app.now(), until) });

    for answer in [app.post("/rooms", window.clone()).await, app.patch(&room, window.clone()).await] {
        assert_eq!(answer.error(), (400, "BadRequest", MALFORMED));
        assert_eq!(answer.details(), details);
    }
    assert_eq!(app.get(&room).await.body, made);
    assert_eq!(app.count_rooms().await, 1);
}

#[rstest]
#[case::the_longest(Some(0), Some(180 * DAY))]
#[case::the_latest_start(Some(180 * DAY), Some(360 * DAY))]
#[case::from_the_past(Some(-DAY), Some(DAY))]
#[tokio::test]
async fn a_right_window_is_taken_on_create_and_update_alike(#[case] from: Option<i64>, #[case] until: Option<i64>) {
    let app = TestApp::start().await;
    let room = format!("/rooms/{}", app.room(json!({})).await);
    let window = json!({ "validFrom": at(app.now(), from), "validUntil": at(app.now(), until) });

    assert_eq!(app.post("/rooms", window.clone()).await.status, StatusCode::CREATED);
    assert_eq!(app.patch(&room, window).await.status, StatusCode::OK);
}

#[rstest]
#[case::a_start(Some(DAY), None)]
#[case::a_past_start(Some(-DAY), None)]
#[case::an_end(None, Some(DAY))]
#[tokio::test]
async fn one_end_alone_is_enough_on_create_and_refused_on_update(
    #[case] from: Option<i64>,
    #[case] until: Option<i64>,
) {
    let app = TestApp::start().await;
    let room = format!("/rooms/{}", app.room(json!({})).await);
    let window = json!({ "validFrom": at(app.now(), from), "validUntil": at(app.now(), until) });

    let made = app.post("/rooms", window.clone()).await;
    let refused = app.patch(&room, window).await;

    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(refused.error(), (400, "BadRequest", MALFORMED));
    assert_eq!(refused.details(), [("", "validFrom and validUntil should be set together.")]);
}

#[tokio::test]
async fn a_late_start_without_an_end_is_wrong_twice() {
    let app = TestApp::start().await;

    let answer = app.post("/rooms", json!({ "validFrom": at(app.now(), Some(181 * DAY)) })).await;

    assert_eq!(answer.details(), [FUTURE, RANGE]);
}

#[tokio::test]
async fn a_wrong_window_and_a_wrong_role_are_told_together() {
    let app = TestApp::start().await;
    let body = json!({ "validUntil": at(app.now(), Some(-1)), "participants": { ANN: { "role": "Kafka" } } });

    let answer = app.post("/rooms", body).await;

    let role = format!("$.participants.{ANN}.role");
    let told = "Invalid participant role. The valid roles are: Presenter, Attendee, Consumer, Collaborator.";
    assert_eq!(answer.details(), [PAST, (role.as_str(), told)]);
}

#[rstest]
#[case("2030-01-01T24:00")]
#[case("2030-W01-1")]
#[case("2030-02-30T00:00:00Z")]
#[case("yesterday")]
#[case("")]
#[tokio::test]
async fn a_date_that_is_none_is_named(#[case] date: &str) {
    let app = TestApp::start().await;
    let room = format!("/rooms/{}", app.room(json!({})).await);
    let window = json!({ "validFrom": "2026-12-01T00:00:00Z", "validUntil": date });

    for answer in [app.post("/rooms", window.clone()).await, app.patch(&room, window.clone()).await] {
        assert_eq!(answer.error(), (400, "BadRequest", MALFORMED));
        assert_eq!(answer.details()[0].0, "$.validUntil");
    }
}
