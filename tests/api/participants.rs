//! The roster (acs-rooms.md, section 5).

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Map, Value};

use crate::support::*;

fn roster(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|(id, role)| ((*id).to_owned(), (*role).to_owned())).collect()
}

/// A patch that names so many users, from the n-th on.
fn users(range: std::ops::Range<usize>, value: &Value) -> Value {
    json!({ "participants": range.map(|n| (user(n), value.clone())).collect::<Map<_, _>>() })
}

#[tokio::test]
async fn a_patch_adds_changes_and_removes_in_one_step() {
    let app = TestApp::start().await;
    let room = app.room_with(json!({ ANN: { "role": "Presenter" }, BOB: {} })).await;

    let patch = json!({ "participants": { ANN: { "role": "Consumer" }, BOB: null, CID: { "role": "Collaborator" } } });
    let answer = app.patch(&format!("/rooms/{room}/participants"), patch).await;

    assert_eq!((answer.status, answer.body), (StatusCode::OK, json!({})));
    assert_eq!(app.roster(&room).await, roster(&[(ANN, "Consumer"), (CID, "Collaborator")]));
}

#[rstest]
#[case::an_empty_object(json!({}))]
#[case::a_role_of_null(json!({ "role": null }))]
#[case::a_member_of_another_time(json!({ "displayName": "Ann" }))]
#[tokio::test]
async fn who_is_named_without_a_role_becomes_an_attendee_also_if_it_was_more(#[case] named: Value) {
    let app = TestApp::start().await;
    let room = app.room_with(json!({ ANN: { "role": "Presenter" } })).await;

    let patch = json!({ "participants": { ANN: named, BOB: named } });
    assert_eq!(app.patch(&format!("/rooms/{room}/participants"), patch).await.status, StatusCode::OK);

    assert_eq!(app.roster(&room).await, roster(&[(ANN, "Attendee"), (BOB, "Attendee")]));
}

#[rstest]
#[case::nothing(json!({}))]
#[case::null(json!({ "participants": null }))]
#[case::nobody(json!({ "participants": {} }))]
#[case::somebody_who_is_not_in_the_room(json!({ "participants": { BOB: null } }))]
#[tokio::test]
async fn a_patch_that_changes_nothing_is_fine(#[case] patch: Value) {
    let app = TestApp::start().await;
    let room = app.room_with(json!({ ANN: { "role": "Presenter" } })).await;

    let answer = app.patch(&format!("/rooms/{room}/participants"), patch).await;

    assert_eq!((answer.status, answer.body), (StatusCode::OK, json!({})));
    assert_eq!(app.roster(&room).await, roster(&[(ANN, "Presenter")]));
}

#[tokio::test]
async fn a_patch_without_a_body_is_fine() {
    let app = TestApp::start().await;
    let room = app.room(json!({})).await;

    let answer = app.request("PATCH", &format!("/rooms/{room}/participants")).send().await;

    assert_eq!((answer.status, answer.body), (StatusCode::OK, json!({})));
}

#[tokio::test]
async fn the_roster_keeps_the_order_in_which_it_grew() {
    let app = TestApp::start().await;
    let room = app.room_with(json!({ CID: {}, ANN: {} })).await;
    let participants = format!("/rooms/{room}/participants");

    app.clock.advance(TimeDelta::seconds(1));
    app.patch(&participants, json!({ "participants": { BOB: {}, CID: { "role": "Presenter" } } })).await;

    // serde_json's maps are sorted, so the body named ANN before CID.
    assert_eq!(app.roster(&room).await, roster(&[(ANN, "Attendee"), (CID, "Presenter"), (BOB, "Attendee")]));
}

#[rstest]
#[case::a_role_that_is_none(json!({ "role": "Kafka" }))]
#[case::a_role_in_lower_case(json!({ "role": "presenter" }))]
#[case::an_empty_role(json!({ "role": "" }))]
#[tokio::test]
async fn a_wrong_role_is_named_and_nothing_is_changed(#[case] wrong: Value) {
    let app = TestApp::start().await;
    let room = app.room_with(json!({ ANN: {} })).await;
    let body = json!({ "participants": { ANN: null, BOB: wrong } });

    let answers =
        [app.patch(&format!("/rooms/{room}/participants"), body.clone()).await, app.post("/rooms", body).await];

    for answer in answers {
        assert_eq!(answer.error(), (400, "BadRequest", MALFORMED));
        let target = format!("$.participants.{BOB}.role");
        let told = "Invalid participant role. The valid roles are: Presenter, Attendee, Consumer, Collaborator.";
        assert_eq!(answer.details(), [(target.as_str(), told)]);
    }
    assert_eq!(app.roster(&room).await, roster(&[(ANN, "Attendee")]));
    assert_eq!(app.count_rooms().await, 1);
}

#[rstest]
#[case::no_guids("8:acs:nonExistentParticipant")]
#[case::a_phone("4:+14255550123")]
#[case::a_teams_user("8:orgid:11111111-2222-3333-4444-555555555555")]
#[case::plain_text("invalid_mri")]
#[case::empty("")]
#[tokio::test]
async fn a_raw_id_of_no_communication_user_refuses_the_whole_request(#[case] id: &str) {
    let app = TestApp::start().await;
    let room = app.room_with(json!({ ANN: {} })).await;
    let participants = format!("/rooms/{room}/participants");

    for given in [json!({ "role": "Presenter" }), json!(null)] {
        let body = json!({ "participants": { BOB: {}, id: given } });
        let created = app.post("/rooms", body.clone()).await;
        let told = "Invalid format for communication identifier.";
        assert_eq!(created.error(), (400, "BadRequest", told));

        let patched = app.patch(&participants, body.clone()).await;
        let told = format!("Communication identifier {id} is not supported.");
        assert_eq!(patched.error(), (400, "BadRequest", told.as_str()));

        for version in ["2023-06-14", "2023-10-30-preview", "2024-04-15"] {
            let older = app.patch(&format!("{participants}?api-version={version}"), body.clone()).await;
            assert_eq!(older.error(), (400, "BadRequest", "Invalid value for the Participants."));
        }
    }
    assert_eq!(app.roster(&room).await, roster(&[(ANN, "Attendee")]));
    assert_eq!(app.count_rooms().await, 1);
}

#[tokio::test]
async fn a_raw_id_that_stands_twice_is_refused() {
    let app = TestApp::start().await;
    let room = app.room_with(json!({ ANN: {} })).await;
    let twice = format!(r#"{{"participants":{{"{BOB}":{{"role":"Presenter"}},"{BOB}":{{"role":"Consumer"}}}}}}"#);

    let send = async |method, path: &str| {
        app.request(method, path).header("Content-Type", "application/json").body(twice.clone()).send().await
    };
    for answer in [send("POST", "/rooms").await, send("PATCH", &format!("/rooms/{room}/participants")).await] {
        assert_eq!(answer.error(), (400, "BadRequest", MALFORMED));
        assert_eq!(answer.details()[0].0, "$.participants");
    }
    assert_eq!(app.roster(&room).await, roster(&[(ANN, "Attendee")]));
}

#[tokio::test]
async fn two_spellings_of_an_id_are_two_participants() {
    let app = TestApp::start().await;
    let shouted = ANN.to_uppercase().replace("8:ACS:", "8:acs:");

    let room = app.room_with(json!({ ANN: {}, shouted.as_str(): { "role": "Consumer" } })).await;

    let mut entries = app.roster(&room).await;
    entries.sort();
    assert_eq!(entries, roster(&[(&shouted, "Consumer"), (ANN, "Attendee")]));
}

#[tokio::test]
async fn all_four_roles_are_known_at_every_version() {
    let app = TestApp::start().await;
    let room = app.room(json!({})).await;

    for version in ["2023-06-14", "2023-10-30-preview", "2024-04-15", "2025-02-28-preview", "2025-03-13"] {
        for role in ["Presenter", "Attendee", "Consumer", "Collaborator"] {
            let path = format!("/rooms/{room}/participants?api-version={version}");
            let answer = app.patch(&path, json!({ "participants": { ANN: { "role": role } } })).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(app.roster(&room).await, roster(&[(ANN, role)]));
        }
    }
}

#[tokio::test]
async fn a_roster_holds_350_and_not_one_more() {
    let app = TestApp::start().await;
    let attendee = json!({});

    let full = app.room(users(0..350, &attendee)).await;
    let participants = format!("/rooms/{full}/participants");
    assert_eq!(app.roster(&full).await.len(), 350);

    let created = app.post("/rooms", users(0..351, &attendee)).await;
    let patched = app.patch(&participants, users(350..351, &attendee)).await;
    for answer in [created, patched] {
        assert_eq!(answer.error(), (400, "BadRequest", MALFORMED));
        assert_eq!(answer.details(), [("$.participants", "A room has at most 350 participants.")]);
    }
    assert_eq!(app.roster(&full).await.len(), 350);

    // What matters is the roster as it would be: a change of roles and an exchange fit.
    assert_eq!(app.patch(&participants, users(0..350, &json!({ "role": "Consumer" }))).await.status, StatusCode::OK);
    let exchange = json!({ "participants": { user(0): null, ANN: {} } });
    assert_eq!(app.patch(&participants, exchange).await.status, StatusCode::OK);
    assert_eq!(app.roster(&full).await.len(), 350);
}

#[tokio::test]
async fn too_many_for_a_room_that_is_not_there_is_not_found() {
    let app = TestApp::start().await;

    let answer = app.patch("/rooms/99480215317774646/participants", users(0..351, &json!({}))).await;

    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_roster_above_a_lowered_limit_may_shrink_and_not_grow() {
    let before = TestApp::start().await;
    let room = before.room(users(0..10, &json!({}))).await;
    let participants = format!("/rooms/{room}/participants");
    let lowered = Setup { max_participants: 5, database: Some(before.database.clone()), ..Setup::default() };
    let after = lowered.start().await;

    assert_eq!(after.patch(&participants, users(10..11, &json!({}))).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(after.patch(&participants, users(0..1, &Value::Null)).await.status, StatusCode::OK);
    assert_eq!(after.roster(&room).await.len(), 9);
}

#[tokio::test]
async fn the_limit_is_not_raced_past() {
    let app = Setup { max_participants: 20, ..Setup::default() }.start().await;
    let room = app.room(json!({})).await;
    let participants = format!("/rooms/{room}/participants");

    let (path, one) = (participants.as_str(), &json!({}));
    let answers = join_all((0..40).map(|n| app.patch(path, users(n..n + 1, one)))).await;

    let added = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert!(answers.iter().all(|a| [StatusCode::OK, StatusCode::BAD_REQUEST].contains(&a.status)), "{answers:?}");
    assert_eq!((added, app.roster(&room).await.len()), (20, 20));
}

#[tokio::test]
async fn changes_that_meet_happen_one_after_the_other() {
    let app = TestApp::start().await;
    let room = app.room(json!({})).await;
    let participants = format!("/rooms/{room}/participants");

    // Each takes the whole room for itself: whoever comes last, there is one left, and of its own role.
    let take = |n: usize| {
        let patch: Map<String, Value> =
            (0..16).map(|m| (user(m), if m == n { json!({ "role": "Presenter" }) } else { Value::Null })).collect();
        json!({ "participants": patch })
    };
    let path = participants.as_str();
    for answer in join_all((0..16).map(|n| app.patch(path, take(n)))).await {
        assert_eq!(answer.status, StatusCode::OK);
    }

    assert_eq!(app.roster(&room).await.len(), 1);
    let count: i32 = sqlx::query_scalar("SELECT participant_count FROM rooms").fetch_one(&app.db).await.unwrap();
    assert_eq!(count, 1);
}
