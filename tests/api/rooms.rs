//! Create, get, update and delete a room (acs-rooms.md, section 4).

use rstest::rstest;
use serde_json::Value;

use crate::support::*;

/// What is made at the standing clock's time when nothing is given: now, for 180 days.
const CREATED: &str = "2026-11-21T01:07:52.123456+00:00";
const IN_180_DAYS: &str = "2027-05-20T01:07:52.123456+00:00";

#[rstest]
#[case::zero_bytes(None)]
#[case::an_empty_object(Some(json!({})))]
#[case::an_empty_map_as_js_sends(Some(json!({ "participants": {} })))]
#[case::nulls_as_python_sends(Some(json!({ "validFrom": null, "validUntil": null, "pstnDialOutEnabled": false })))]
#[case::all_null(Some(json!({ "validFrom": null, "validUntil": null, "pstnDialOutEnabled": null, "participants": null })))]
#[case::members_of_another_time(Some(json!({ "roomJoinPolicy": "InviteOnly", "x": [1, { "y": null }] })))]
#[tokio::test]
async fn a_room_made_with_nothing_opens_now_for_180_days(#[case] body: Option<Value>) {
    let app = TestApp::start().await;
    let request = app.request("POST", "/rooms");

    let answer = match body {
        Some(body) => request.json(&body).send().await,
        None => request.send().await,
    };

    assert_eq!(answer.status, StatusCode::CREATED);
    let id = answer.body["id"].as_str().unwrap();
    assert_eq!(
        answer.body,
        json!({
            "id": id,
            "createdAt": CREATED,
            "validFrom": CREATED,
            "validUntil": IN_180_DAYS,
            "pstnDialOutEnabled": false,
        })
    );
    assert_eq!(answer.header("location"), Some(id));
    assert_eq!(answer.header("repeatability-result"), Some("accepted"));
}

#[tokio::test]
async fn an_id_is_18_digits_that_begin_with_994_and_grow() {
    let app = TestApp::start().await;

    let ids = [app.room(json!({})).await, app.room(json!({})).await, app.room(json!({})).await];

    assert!(ids.iter().all(|id| id.len() == 18 && id.starts_with("994") && id.bytes().all(|b| b.is_ascii_digit())));
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn what_was_made_is_what_is_found() {
    let app = TestApp::start().await;
    let made = app
        .post(
            "/rooms",
            json!({
                "validFrom": "2026-12-01T10:00:00.1234567Z",
                "validUntil": "2026-12-02T10:00:00+05:30",
                "pstnDialOutEnabled": true,
                "participants": { ANN: { "role": "Presenter" }, BOB: {}, CID: { "role": null } },
            }),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let id = made.body["id"].as_str().unwrap();

    let found = app.get(&format!("/rooms/{id}")).await;

    assert_eq!((found.status, &found.body), (StatusCode::OK, &made.body));
    assert_eq!(found.body["validFrom"], "2026-12-01T10:00:00.123456+00:00");
    assert_eq!(found.body["validUntil"], "2026-12-02T04:30:00+00:00");
    assert_eq!(found.body["pstnDialOutEnabled"], true);
    let roster = [(ANN, "Presenter"), (BOB, "Attendee"), (CID, "Attendee")];
    assert_eq!(app.roster(id).await, roster.map(|(id, role)| (id.to_owned(), role.to_owned())));
}

#[tokio::test]
async fn a_participant_of_null_is_left_out_of_a_new_room() {
    let app = TestApp::start().await;

    let room = app.room_with(json!({ ANN: null, BOB: {} })).await;

    assert_eq!(app.roster(&room).await, [(BOB.to_owned(), "Attendee".to_owned())]);
}

#[tokio::test]
async fn participants_of_null_do_not_count() {
    let app = Setup { max_participants: 1, ..Setup::default() }.start().await;

    let room = app.room_with(json!({ ANN: null, BOB: {}, CID: null })).await;

    assert_eq!(app.roster(&room).await.len(), 1);
}

#[rstest]
#[case::nothing(json!({}))]
#[case::all_null_as_python_sends(json!({ "validFrom": null, "validUntil": null, "pstnDialOutEnabled": null }))]
#[case::members_that_it_does_not_change(json!({ "participants": { ANN: null }, "createdAt": "x", "id": 7 }))]
#[tokio::test]
async fn an_update_with_nothing_leaves_the_room_as_it_is(#[case] body: Value) {
    let app = TestApp::start().await;
    let made = app.post("/rooms", json!({ "pstnDialOutEnabled": true, "participants": { ANN: {} } })).await;
    let room = format!("/rooms/{}", made.body["id"].as_str().unwrap());

    let answer = app.patch(&room, body).await;

    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &made.body));
    assert_eq!(app.get(&room).await.body, made.body);
    assert_eq!(app.roster(made.body["id"].as_str().unwrap()).await.len(), 1);
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_keeps_the_rest() {
    let app = TestApp::start().await;
    let made = app.post("/rooms", json!({})).await.body;
    let room = format!("/rooms/{}", made["id"].as_str().unwrap());
    app.clock.advance(TimeDelta::hours(1));

    let flagged = app.patch(&room, json!({ "pstnDialOutEnabled": true })).await;
    let window = json!({ "validFrom": "2026-12-01T00:00:00Z", "validUntil": "2026-12-31T00:00:00.5Z" });
    let moved = app.patch(&room, window).await;

    let mut wanted = made.clone();
    wanted["pstnDialOutEnabled"] = json!(true);
    assert_eq!((flagged.status, &flagged.body), (StatusCode::OK, &wanted));
    wanted["validFrom"] = json!("2026-12-01T00:00:00+00:00");
    wanted["validUntil"] = json!("2026-12-31T00:00:00.5+00:00");
    assert_eq!((moved.status, &moved.body), (StatusCode::OK, &wanted));
    assert_eq!(app.get(&room).await.body, wanted);
}

#[tokio::test]
async fn a_patch_may_come_as_plain_json_and_with_a_charset() {
    let app = TestApp::start().await;
    let room = format!("/rooms/{}", app.room(json!({})).await);

    for kind in ["application/json", "application/merge-patch+json; charset=utf-8", "Application/JSON;charset=UTF-8"] {
        let request = app.request("PATCH", &room).header("Content-Type", kind).body(r#"{"pstnDialOutEnabled":true}"#);
        assert_eq!(request.send().await.status, StatusCode::OK, "{kind}");
    }
}

#[tokio::test]
async fn a_room_is_there_before_and_after_its_window_and_can_be_revived() {
    let app = TestApp::start().await;
    let window = json!({ "validFrom": "2026-12-01T00:00:00Z", "validUntil": "2026-12-02T00:00:00Z" });
    let made = app.post("/rooms", window).await.body;
    let room = format!("/rooms/{}", made["id"].as_str().unwrap());

    assert_eq!(app.get(&room).await.body, made);
    app.clock.advance(TimeDelta::days(30));
    assert_eq!(app.get(&room).await.body, made);
    assert_eq!(app.get("/rooms").await.body["value"], json!([made]));

    let window = json!({ "validFrom": "2026-12-01T00:00:00Z", "validUntil": "2027-01-02T00:00:00Z" });
    let revived = app.patch(&room, window).await;
    assert_eq!((revived.status, &revived.body["validUntil"]), (StatusCode::OK, &json!("2027-01-02T00:00:00+00:00")));
}

#[tokio::test]
async fn a_deleted_room_is_gone_with_its_roster() {
    let app = TestApp::start().await;
    let id = app.room_with(json!({ ANN: {} })).await;
    let (room, participants) = (format!("/rooms/{id}"), format!("/rooms/{id}/participants"));

    let deleted = app.delete(&room).await;

    assert_eq!((deleted.status, deleted.bytes.as_slice()), (StatusCode::NO_CONTENT, &b""[..]));
    let gone = (404, "NotFound", "The server cannot find the requested resource.");
    assert_eq!(app.delete(&room).await.error(), gone);
    assert_eq!(app.get(&room).await.error(), gone);
    assert_eq!(app.patch(&room, json!({})).await.error(), gone);
    assert_eq!(app.patch(&room, json!({ "pstnDialOutEnabled": true })).await.error(), gone);
    assert_eq!(app.get(&participants).await.error(), gone);
    assert_eq!(app.patch(&participants, json!({})).await.error(), gone);
    assert_eq!(app.patch(&participants, json!({ "participants": { BOB: {} } })).await.error(), gone);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM participants").fetch_one(&app.db).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_delete_with_a_content_length_of_zero_is_no_json() {
    let app = TestApp::start().await;
    let room = format!("/rooms/{}", app.room(json!({})).await);

    let got = app.request("GET", &room).header("Content-Length", "0").send().await;
    let deleted = app.request("DELETE", &room).header("Content-Length", "0").send().await;

    assert_eq!((got.status, deleted.status), (StatusCode::OK, StatusCode::NO_CONTENT));
}

#[tokio::test]
async fn two_processes_that_make_the_same_id_both_get_a_room() {
    let one = TestApp::start().await;
    let other = Setup { database: Some(one.database.clone()), ..Setup::default() }.start().await;

    let (a, b) = (one.room(json!({})).await, other.room(json!({})).await);

    assert_ne!(a, b);
    assert_eq!(one.count_rooms().await, 2);
    assert_eq!(one.get(&format!("/rooms/{b}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_carries_the_headers_of_the_service() {
    let app = TestApp::start().await;
    let id = "4f8a1d6e-client";

    for (method, path) in [("GET", "/rooms"), ("GET", "/rooms/123"), ("GET", "/nowhere"), ("PUT", "/rooms")] {
        let answer = app.request(method, path).header("x-ms-client-request-id", id).send().await;

        let versions = "2023-06-14, 2023-10-30-preview, 2024-04-15, 2025-02-28-preview, 2025-03-13";
        assert_eq!(answer.header("api-supported-versions"), Some(versions), "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(answer.header("x-ms-client-request-id"), Some(id));
        assert!(answer.header("date").is_some());
        assert!(answer.header("x-ms-request-id").is_some_and(|id| id.len() == 36));
        assert!(answer.header("ms-cv").is_some_and(|cv| cv.len() == 24 && cv.ends_with(".0")));
    }
}
