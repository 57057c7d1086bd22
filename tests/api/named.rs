//! Rooms by name: got or made by backends, entered by clients, and what their options fix for everyone.

use std::time::Duration;

use rstest::rstest;

use crate::support::*;

const PUBLISH: u64 = 1 << 17;
const SUBSCRIBE: u64 = 1 << 18;
const PRESENCE_SUBSCRIBE: u64 = 1 << 19;

async fn put(app: &TestApp, name: &str, body: Value) -> Answer {
    app.request("PUT", &format!("/rooms/by-name/{name}")).json(&body).send().await
}

/// Makes a room of that name and gives its id.
async fn made(app: &TestApp, name: &str, body: Value) -> String {
    let answer = put(app, name, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

async fn forbidding() -> TestApp {
    let mut setup = Setup::default();
    setup.settings.named_rooms = false;
    setup.start().await
}

#[tokio::test]
async fn a_name_makes_a_room_once_and_gets_it_from_then_on() {
    let app = TestApp::start().await;
    let body = json!({
        "participants": { user(1): { "role": "Presenter" } },
        "validUntil": "2026-11-21T02:00:00Z",
        "options": { "occupancy": { "enableEvents": true }, "typing": { "heartbeatThrottleMs": 5000 } },
    });

    let first = put(&app, "kitchen", body.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!((&first.body["name"], &first.body["options"]), (&json!("kitchen"), &body["options"]));
    assert_eq!(first.body["validUntil"], json!("2026-11-21T02:00:00+00:00"));
    let room = first.body["id"].as_str().unwrap();
    assert_eq!(app.roster(room).await, [(user(1), "Presenter".to_owned())]);

    let again = put(&app, "kitchen", body).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
    assert_eq!(app.get("/rooms/by-name/kitchen").await.body, first.body);
    assert_eq!(app.get(&format!("/rooms/{room}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_room_that_is_over_is_still_got_by_what_made_it() {
    let app = TestApp::start().await;
    let body = json!({ "validUntil": "2026-11-21T02:00:00Z" });
    let room = made(&app, "kitchen", body.clone()).await;
    app.clock.advance(TimeDelta::hours(3));

    let again = put(&app, "kitchen", body.clone()).await;
    assert_eq!((again.status, again.body["id"].as_str()), (StatusCode::OK, Some(&*room)));
    assert_eq!(put(&app, "another", body).await.error().0, 400);
}

#[rstest]
#[case::none(json!({}))]
#[case::another_group(json!({ "options": { "presence": { "enableEvents": true } } }))]
#[case::another_value(json!({ "options": { "occupancy": { "enableEvents": false } } }))]
#[tokio::test]
async fn a_name_with_other_options_is_refused(#[case] body: Value) {
    let app = TestApp::start().await;
    made(&app, "kitchen", json!({ "options": { "occupancy": { "enableEvents": true } } })).await;

    let refused = put(&app, "kitchen", body).await;
    assert_eq!((refused.error().0, refused.error().1), (409, "Conflict"));
}

#[tokio::test]
async fn twenty_who_ask_at_once_get_one_room() {
    let app = TestApp::start().await;
    let answers = futures_util::future::join_all((0..20).map(|_| put(&app, "kitchen", json!({})))).await;

    let ids: std::collections::HashSet<&str> =
        answers.iter().map(|answer| answer.body["id"].as_str().unwrap()).collect();
    let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    assert_eq!((ids.len(), made, app.count_rooms().await), (1, 1, 1));
}

#[tokio::test]
async fn a_name_is_free_again_when_its_room_is_deleted() {
    let app = TestApp::start().await;
    let first = made(&app, "kitchen", json!({})).await;
    app.delete(&format!("/rooms/{first}")).await;

    assert_eq!(app.get("/rooms/by-name/kitchen").await.error().0, 404);
    assert_ne!(made(&app, "kitchen", json!({})).await, first);
}

#[rstest]
#[case::an_id("994059547015701969")]
#[case::what_a_room_has("participants")]
#[case::the_other_thing_that_it_has("occupancy")]
#[case::a_channel("lobby::$chat")]
#[case::the_services_own("%5Bmeta%5D")]
#[case::a_line("two%0Alines")]
#[case::no_text("%FF")]
#[case::too_long(&"x".repeat(1_025))]
#[tokio::test]
async fn what_means_something_else_is_no_name(#[case] name: &str) {
    let app = TestApp::start().await;
    let answer = put(&app, name, json!({})).await;
    assert_eq!((answer.error().0, &answer.body["error"]["target"]), (400, &json!("name")));
}

#[tokio::test]
async fn a_name_is_taken_as_it_is_meant() {
    let app = TestApp::start().await;
    let answer = put(&app, "shop%2F1%3A%E2%98%83", json!({})).await;
    assert_eq!(answer.body["name"], json!("shop/1:☃"));
}

#[rstest]
#[case::typed(json!({ "typing": { "heartbeatThrottleMs": 0 } }), "$.options.typing.heartbeatThrottleMs")]
#[case::a_reaction(json!({ "messages": { "defaultMessageReactionType": "odd" } }), "$.options.messages.defaultMessageReactionType")]
#[case::an_unknown_group(json!({ "presences": {} }), "$.options.presences")]
#[case::an_unknown_option(json!({ "presence": { "enabled": true } }), "$.options.presence.enabled")]
#[tokio::test]
async fn options_that_nobody_knows_are_refused(#[case] options: Value, #[case] target: &str) {
    let app = TestApp::start().await;
    let answer = put(&app, "kitchen", json!({ "options": options })).await;
    assert_eq!(answer.body["error"]["details"][0]["target"], target, "{answer:?}");
}

#[tokio::test]
async fn a_name_and_an_id_lead_into_the_same_room() {
    let app = TestApp::start().await;
    let ((ann, mut by_name), (bob, mut by_id)) = (live_user(&app).await, live_user(&app).await);
    let room = made(&app, "kitchen", json!({ "participants": { ann.clone(): {}, bob: {} } })).await;
    assert_eq!(by_name.attach("kitchen").await["action"], 11);
    by_name.enter("kitchen", 0).await;

    // Each sees the name that it used.
    let attached = by_id.attach(&room).await;
    assert_eq!((&attached["action"], &attached["channel"]), (&json!(11), &json!(channel(&room))));
    let there = by_id.next().await;
    assert_eq!((&there["channel"], &there["presence"][0]["clientId"]), (&json!(channel(&room)), &json!(ann)));
    by_name.say("kitchen", 1, "hello").await;
    let told = by_id.next().await;
    assert_eq!((&told["channel"], &told["messages"][0]["data"]), (&json!(channel(&room)), &json!("hello")));
    let echo = by_name.next().await;
    assert_eq!((&echo["action"], &echo["channel"]), (&json!(15), &json!(channel("kitchen"))));
    let by_role = json!({ "Presenter": 0, "Attendee": 2, "Consumer": 0, "Collaborator": 0 });
    let counts = app.get(&format!("/rooms/{room}/occupancy")).await.body;
    assert_eq!(counts, json!({ "connections": 2, "presenceMembers": 1, "byRole": by_role }));
}

#[tokio::test]
async fn a_connection_is_in_a_room_by_one_of_its_names() {
    let app = TestApp::start().await;
    let room = made(&app, "kitchen", json!({})).await;
    let mut backend = Socket::in_room(&app, "backend", "kitchen").await;

    assert_eq!(kind(&backend.attach(&room).await), (9, 90001));
}

#[tokio::test]
async fn who_is_in_a_room_that_becomes_managed_is_judged_by_its_roster() {
    let app = TestApp::start().await;
    let ((invited, mut inside), (_, mut stranger)) = (live_user(&app).await, live_user(&app).await);
    for socket in [&mut inside, &mut stranger] {
        assert_eq!(kind(&socket.attach("kitchen").await), (11, 0));
    }
    let mut backend = Socket::in_room(&app, "backend", "kitchen").await;

    let room = made(&app, "kitchen", json!({ "participants": { invited: { "role": "Consumer" } } })).await;

    let demoted = inside.next().await;
    assert_eq!((kind(&demoted), modes(&demoted) & (PUBLISH | SUBSCRIBE)), ((11, 0), SUBSCRIBE));
    assert_eq!(kind(&stranger.next().await), (9, 40320));
    assert_eq!(kind(&stranger.attach("kitchen").await), (9, 40320));
    let counts = app.get(&format!("/rooms/{room}/occupancy")).await.body;
    assert_eq!(counts["connections"], 2);
    // And when it is gone, all are out of it; the name is free for a room that nobody manages.
    app.delete(&format!("/rooms/{room}")).await;
    assert_eq!(kind(&inside.next().await), (9, 40400));
    assert_eq!(kind(&backend.next().await), (9, 40400));
    assert_eq!(kind(&stranger.attach("kitchen").await), (11, 0));
}

#[tokio::test]
async fn an_attach_that_races_the_making_of_a_room_is_never_inside_uninvited() {
    let app = TestApp::start().await;
    let (_, mut stranger) = live_user(&app).await;
    for n in 0..40 {
        let name = format!("race{n}");
        let (room, answer) = tokio::join!(made(&app, &name, json!({})), stranger.attach(&name));

        assert_eq!(app.get(&format!("/rooms/{room}/occupancy")).await.body["connections"], 0);
        if answer["action"] == 11 {
            assert_eq!(kind(&stranger.next().await), (9, 40320));
        }
    }
}

#[tokio::test]
async fn a_room_made_through_another_replica_judges_who_is_inside() {
    let app = TestApp::start().await;
    let other = Setup { database: Some(app.database.clone()), ..Setup::default() }.start().await;
    let (_, mut stranger) = live_user(&app).await;
    assert_eq!(kind(&stranger.attach("kitchen").await), (11, 0));

    made(&other, "kitchen", json!({})).await;

    assert_eq!(kind(&stranger.next().await), (9, 40320));
}

#[tokio::test]
async fn what_was_said_in_a_room_is_told_to_nobody_after_it_is_gone() {
    let app = TestApp::start().await;
    let (invited, mut inside) = live_user(&app).await;
    let (_, mut stranger) = live_user(&app).await;
    let before = stranger.attach("kitchen").await["channelSerial"].clone();
    let room = made(&app, "kitchen", json!({ "participants": { invited: {} } })).await;
    assert_eq!(kind(&stranger.next().await), (9, 40320));
    inside.attach("kitchen").await;
    inside.say("kitchen", 0, "among us").await;
    app.delete(&format!("/rooms/{room}")).await;

    let again = json!({ "action": 10, "channel": channel("kitchen"), "flags": 3_080_192, "channelSerial": before });
    stranger.send(again).await;
    let attached = stranger.next().await;
    assert_eq!(kind(&attached), (11, 90003), "what happened meanwhile is not its to know");
    assert_eq!(attached["flags"].as_u64().unwrap() & 4, 0);
}

#[rstest]
#[case::presence(json!({ "presence": { "enableEvents": false } }), (0, json!("metrics")))]
#[case::occupancy(json!({ "occupancy": { "enableEvents": false } }), (PRESENCE_SUBSCRIBE, Value::Null))]
#[case::left_to_clients(json!({}), (PRESENCE_SUBSCRIBE, json!("metrics")))]
#[case::wished_for(
    json!({ "presence": { "enableEvents": true }, "occupancy": { "enableEvents": true } }),
    (PRESENCE_SUBSCRIBE, json!("metrics"))
)]
#[tokio::test]
async fn what_is_asked_for_beyond_a_rooms_options_is_granted_down(
    #[case] options: Value,
    #[case] granted: (u64, Value),
) {
    let app = TestApp::start().await;
    let (id, mut socket) = live_user(&app).await;
    made(&app, "kitchen", json!({ "participants": { id: {} }, "options": options })).await;

    let asked = json!({ "action": 10, "channel": channel("kitchen"), "flags": 3_080_192, "params": { "occupancy": "metrics" } });
    socket.send(asked).await;
    let attached = socket.next().await;
    assert_eq!((modes(&attached) & PRESENCE_SUBSCRIBE, attached["params"]["occupancy"].clone()), granted);
}

#[tokio::test]
async fn in_a_room_without_events_of_presence_nobody_is_told_who_comes() {
    let app = TestApp::start().await;
    made(&app, "quiet", json!({ "options": { "presence": { "enableEvents": false } } })).await;
    let mut ann = Socket::in_room(&app, "ann", "quiet").await;
    let mut bob = Socket::in_room(&app, "bob", "quiet").await;

    bob.enter("quiet", 0).await;
    bob.say("quiet", 1, "hello").await;

    assert_eq!(ann.next().await["action"], 15, "the message, and nothing of presence before it");
}

#[tokio::test]
async fn where_named_rooms_are_forbidden_only_what_a_backend_made_is_entered() {
    let app = forbidding().await;
    let (id, mut socket) = live_user(&app).await;
    assert_eq!(kind(&socket.attach("kitchen").await), (9, 40323));
    let mut backend = Socket::connect(&app, LIVE_KEY).await;
    assert_eq!(backend.next().await["action"], 4);
    assert_eq!(kind(&backend.attach("kitchen").await), (9, 40323));

    made(&app, "kitchen", json!({ "participants": { id: {} } })).await;
    assert_eq!(kind(&socket.attach("kitchen").await), (11, 0));
}

#[tokio::test]
async fn who_is_in_a_named_room_leaves_when_such_rooms_are_forbidden() {
    let app = TestApp::start().await;
    let (_, mut socket) = live_user(&app).await;
    assert_eq!(kind(&socket.attach("kitchen").await), (11, 0));

    let mut setup = Setup { database: Some(app.database.clone()), ..Setup::default() };
    setup.settings.named_rooms = false;
    let _forbidding = setup.start().await;

    assert_eq!(kind(&socket.next().await), (9, 40323));
}

#[tokio::test]
async fn a_roster_shows_who_is_in_the_room_now() {
    let app = TestApp::start().await;
    let ((ann, mut inside), (bob, _outside)) = (live_user(&app).await, live_user(&app).await);
    let room = app.room_with(json!({ ann.clone(): { "role": "Presenter" }, bob.clone(): {} })).await;
    inside.attach(&room).await;
    inside.enter(&room, 0).await;

    let path = format!("/rooms/{room}/participants");
    let there = json!({ "connections": 1, "isPresent": true });
    let away = json!({ "connections": 0, "isPresent": false });
    let answer = app.get(&format!("{path}?live=true&api-version=2025-03-13")).await;
    let of = |id: &str| answer.body["value"].as_array().unwrap().iter().find(|p| p["rawId"] == id).unwrap().clone();
    assert_eq!(of(&ann), json!({ "rawId": ann, "role": "Presenter", "live": there }));
    assert_eq!(of(&bob), json!({ "rawId": bob, "role": "Attendee", "live": away }));
    assert!(app.get(&path).await.body["value"][0].get("live").is_none());
    let odd = app.get(&format!("{path}?live=yes&api-version=2025-03-13")).await;
    assert_eq!((odd.error().0, &odd.body["error"]["target"]), (400, &json!("live")));
}

#[tokio::test]
async fn a_lost_hint_is_made_up_for_within_seconds() {
    let app = TestApp::start().await;
    let (id, mut socket) = live_user(&app).await;
    let room = app.room_with(json!({ id: {} })).await;
    assert_eq!(kind(&socket.attach(&room).await), (11, 0));

    // What nobody tells of: a row changed behind the back of every replica.
    let end = "UPDATE participants SET role = 'Consumer'";
    sqlx::query(end).execute(&app.db).await.unwrap();
    sqlx::query("UPDATE rooms SET roster_version = roster_version + 1").execute(&app.db).await.unwrap();

    let told = tokio::time::timeout(Duration::from_secs(3), socket.next()).await.expect("within seconds");
    assert_eq!((kind(&told), modes(&told) & PUBLISH), ((11, 0), 0));
}

#[tokio::test]
async fn who_comes_before_a_deletion_elsewhere_is_noticed_is_told_nothing_of_that_room() {
    let app = TestApp::start().await;
    let ((invited, mut inside), (_, mut stranger)) = (live_user(&app).await, live_user(&app).await);
    let before = stranger.attach("kitchen").await["channelSerial"].clone();
    made(&app, "kitchen", json!({ "participants": { invited: {} } })).await;
    assert_eq!(kind(&stranger.next().await), (9, 40320));
    inside.attach("kitchen").await;
    inside.say("kitchen", 0, "among us").await;
    inside.next().await;

    // As another replica does it, before its hint is heard here.
    sqlx::query("DELETE FROM rooms").execute(&app.db).await.unwrap();
    let again = json!({ "action": 10, "channel": channel("kitchen"), "flags": 3_080_192, "channelSerial": before });
    stranger.send(again).await;

    assert_eq!(kind(&stranger.next().await), (11, 90003), "continuity is lost, and nothing is told of it");
    stranger.say("kitchen", 1, "anybody?").await;
    assert_eq!(stranger.next().await["messages"][0]["data"], "anybody?");
}

#[tokio::test]
async fn who_enters_while_anothers_role_is_changed_stays() {
    let app = TestApp::start().await;
    let (other, _outside) = live_user(&app).await;
    let (id, mut guest) = live_user(&app).await;
    let room = app.room_with(json!({ other.clone(): {}, id: {} })).await;
    let _backend = Socket::in_room(&app, "backend", &room).await;
    let path = format!("/rooms/{room}/participants");
    for role in ["Consumer", "Presenter"].into_iter().cycle().take(40) {
        let change = app.patch(&path, json!({ "participants": { other.clone(): { "role": role } } }));
        let (_, attached) = tokio::join!(change, guest.attach(&room));

        assert_eq!(kind(&attached), (11, 0));
        assert_eq!(app.get(&format!("/rooms/{room}/occupancy")).await.body["connections"], 2);
        guest.send(json!({ "action": 12, "channel": channel(&room) })).await;
        while guest.next().await["action"] != 13 {}
    }
}

#[tokio::test]
async fn a_nul_in_a_channels_name_is_refused() {
    let app = TestApp::start().await;
    let (_, mut socket) = live_user(&app).await;
    assert_eq!(kind(&socket.attach("a\0b").await), (9, 40010));
}
