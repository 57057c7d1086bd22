//! Managed rooms and those who are in them: the roster and the window decide who is live, at once.

use chrono::DateTime;

use crate::support::*;

async fn patch(app: &TestApp, room: &str, participants: Value) {
    let path = format!("/rooms/{room}/participants");
    let answer = app.patch(&path, json!({ "participants": participants })).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// A user that is in a room, with a role.
async fn inside(app: &TestApp, role: &str) -> (String, String, Socket) {
    let (id, mut socket) = live_user(app).await;
    let room = app.room_with(json!({ id.clone(): { "role": role } })).await;
    assert_eq!(kind(&socket.attach(&room).await), (11, 0));
    (room, id, socket)
}

const PUBLISH: u64 = 1 << 17;
const PRESENCE: u64 = 1 << 16;
const SUBSCRIBE: u64 = 1 << 18;

fn granted(frame: &Value) -> u64 {
    modes(frame) & (PUBLISH | PRESENCE | SUBSCRIBE)
}

#[tokio::test]
async fn a_role_says_what_its_holder_may_do() {
    let app = TestApp::start().await;
    let mut grants = Vec::new();
    for role in ["Presenter", "Collaborator", "Attendee", "Consumer"] {
        let (id, mut socket) = live_user(&app).await;
        let room = app.room_with(json!({ id: { "role": role } })).await;
        grants.push(granted(&socket.attach(&room).await));
    }

    let all = PUBLISH | PRESENCE | SUBSCRIBE;
    assert_eq!(grants, [all, all, all, SUBSCRIBE]);
}

#[tokio::test]
async fn refusals_tell_why() {
    let app = TestApp::start().await;
    let (id, mut socket) = live_user(&app).await;
    let strangers = app.room(json!({})).await;
    let later = json!({ "validFrom": "2026-11-22T00:00:00Z", "participants": { id.clone(): {} } });
    let later = app.room(later).await;
    let over = app.room(json!({ "validUntil": "2026-11-21T01:10:00Z", "participants": { id: {} } })).await;
    app.clock.advance(TimeDelta::minutes(5));

    let mut told = Vec::new();
    for room in [&strangers, &later, &over, "994000000000000000", "000000000000000123"] {
        let refused = socket.attach(room).await;
        told.push((kind(&refused), refused["error"]["message"].as_str().unwrap().to_owned()));
    }
    let codes: Vec<_> = told.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(codes, [(9, 40320), (9, 40321), (9, 40322), (9, 40400), (9, 40400)]);
    assert!(told[1].1.contains("2026-11-22T00:00:00Z"), "{}", told[1].1);
}

#[tokio::test]
async fn who_is_removed_is_outside_when_the_removal_is_acknowledged() {
    let app = TestApp::start().await;
    let (room, id, mut socket) = inside(&app, "Attendee").await;
    socket.enter(&room, 0).await;
    let mut backend = Socket::in_room(&app, "backend", &room).await;
    assert_eq!(backend.next().await["action"], 16); // who is present

    patch(&app, &room, json!({ id: null })).await;

    let resource = app.keys.current().access.iter().next().unwrap().resource;
    let channel = format!("{room}::$chat");
    assert_eq!(app.hub.occupancy(resource, &channel).unwrap().connections, 1);
    assert!(app.hub.members(resource, &channel).is_empty());
    assert_eq!(kind(&socket.next().await), (9, 40320));
    assert_eq!(backend.next().await["presence"][0]["action"], 3);
    // And does not come back.
    assert_eq!(kind(&socket.attach(&room).await), (9, 40320));
    socket.send(json!({ "action": 14, "channel": channel, "msgSerial": 1, "presence": [{ "action": 2 }] })).await;
    assert_eq!(kind(&socket.next().await), (2, 90001));
}

#[tokio::test]
async fn another_role_is_told_in_place() {
    let app = TestApp::start().await;
    let (room, id, mut socket) = inside(&app, "Attendee").await;
    socket.enter(&room, 0).await;

    patch(&app, &room, json!({ id.clone(): { "role": "Consumer" } })).await;
    let demoted = socket.next().await;
    assert_eq!((kind(&demoted), granted(&demoted), demoted["flags"].as_u64().unwrap() & 4), ((11, 0), SUBSCRIBE, 4));

    patch(&app, &room, json!({ id: { "role": "Presenter" } })).await;
    let mut promoted = socket.next().await;
    while kind(&promoted) != (11, 0) {
        promoted = socket.next().await; // its own member left
    }
    assert_eq!(granted(&promoted), PUBLISH | PRESENCE | SUBSCRIBE);
}

#[tokio::test]
async fn a_deleted_room_closes_for_everyone() {
    let app = TestApp::start().await;
    let (room, _, mut socket) = inside(&app, "Presenter").await;
    let mut backend = Socket::in_room(&app, "backend", &room).await;

    app.delete(&format!("/rooms/{room}")).await;

    assert_eq!(kind(&socket.next().await), (9, 40400));
    assert_eq!(kind(&backend.next().await), (9, 40400));
}

#[tokio::test]
async fn the_end_of_the_window_closes_a_room_and_a_later_end_opens_it_again() {
    let app = TestApp::start().await;
    let (id, mut socket) = live_user(&app).await;
    let window = json!({ "validUntil": "2026-11-21T02:07:52Z", "participants": { id: {} } });
    let room = app.room(window).await;
    assert_eq!(kind(&socket.attach(&room).await), (11, 0));

    app.clock.advance(TimeDelta::hours(1));
    assert_eq!(kind(&socket.next().await), (9, 40322));

    let window = json!({ "validFrom": "2026-11-21T01:07:52Z", "validUntil": "2026-11-21T03:07:52Z" });
    assert_eq!(app.patch(&format!("/rooms/{room}"), window).await.status, StatusCode::OK);
    assert_eq!(kind(&socket.attach(&room).await), (11, 0));
}

#[tokio::test]
async fn who_stayed_in_a_room_that_is_over_leaves_when_it_is_swept() {
    let app = TestApp::start().await;
    let room = app.room(json!({ "validUntil": "2026-11-21T02:07:52Z" })).await;
    let mut backend = Socket::in_room(&app, "backend", &room).await;
    app.clock.advance(TimeDelta::hours(2));

    let swept = roomkeeper::service::rooms::sweep(&app.ctx, DateTime::UNIX_EPOCH, app.now()).await.unwrap();

    assert_eq!((swept.count, kind(&backend.next().await)), (1, (9, 40400)));
}

#[tokio::test]
async fn revoked_tokens_end_the_connections_that_they_opened() {
    let app = TestApp::start().await;
    let (room, id, mut socket) = inside(&app, "Attendee").await;
    socket.enter(&room, 0).await;
    app.clock.advance(TimeDelta::seconds(1));

    app.post(&format!("/identities/{id}/:revokeAccessTokens"), json!({})).await;

    let resource = app.keys.current().access.iter().next().unwrap().resource;
    assert!(app.hub.members(resource, &format!("{room}::$chat")).is_empty());
    // In the range that makes the client fetch a new token and come back.
    let mut told = socket.next().await;
    while told["action"] == 14 || told["action"] == 15 {
        told = socket.next().await;
    }
    assert_eq!(kind(&told), (6, 40141));
}

#[tokio::test]
async fn a_change_through_another_replica_reaches_those_inside() {
    let app = TestApp::start().await;
    let other = Setup { database: Some(app.database.clone()), ..Setup::default() }.start().await;
    let (room, id, mut socket) = inside(&app, "Attendee").await;

    patch(&other, &room, json!({ id: null })).await;

    assert_eq!(kind(&socket.next().await), (9, 40320));
}

#[tokio::test]
async fn an_attach_that_races_a_removal_is_never_inside_after_it() {
    let app = TestApp::start().await;
    let resource = app.keys.current().access.iter().next().unwrap().resource;
    let (id, mut socket) = live_user(&app).await;
    for _ in 0..40 {
        let room = app.room_with(json!({ id.clone(): {} })).await;
        let (_, answer) = tokio::join!(patch(&app, &room, json!({ id.clone(): null })), socket.attach(&room));

        let inside = app.hub.occupancy(resource, &format!("{room}::$chat")).map_or(0, |now| now.connections);
        assert_eq!(inside, 0);
        if answer["action"] == 11 {
            assert_eq!(kind(&socket.next().await), (9, 40320));
        }
    }
}

#[tokio::test]
async fn a_presenter_makes_others_leave_and_an_attendee_does_not() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = app.post("/identities", json!({ "createTokenWithScopes": ["chat"] })).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        ids.push((text(&answer.body["identity"]["id"]), text(&answer.body["accessToken"]["token"])));
    }
    let roster = json!({ ids[0].0.clone(): { "role": "Presenter" }, ids[1].0.clone(): {} });
    let room = app.room_with(roster).await;

    let mut statuses = Vec::new();
    for (_, token) in &ids {
        let path = format!("/channels/{room}::$chat/presence/ann?access_token={token}");
        let request = Request::new(app.address, app.now(), "DELETE", &path).unsigned();
        statuses.push(request.send().await.status.as_u16());
    }
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn a_backend_counts_who_is_in_its_room() {
    let app = TestApp::start().await;
    let (room, id, mut socket) = inside(&app, "Presenter").await;
    socket.enter(&room, 0).await;
    let _backend = Socket::in_room(&app, "backend", &room).await;

    let path = format!("/rooms/{room}/occupancy");
    let by_role = json!({ "Presenter": 1, "Attendee": 0, "Consumer": 0, "Collaborator": 0 });
    assert_eq!(app.get(&path).await.body, json!({ "connections": 2, "presenceMembers": 1, "byRole": by_role }));

    patch(&app, &room, json!({ id: null })).await;
    let by_role = json!({ "Presenter": 0, "Attendee": 0, "Consumer": 0, "Collaborator": 0 });
    assert_eq!(app.get(&path).await.body, json!({ "connections": 1, "presenceMembers": 0, "byRole": by_role }));
    assert_eq!(app.get("/rooms/994000000000000000/occupancy").await.error().0, 404);
}

#[tokio::test]
async fn a_revocation_holds_whatever_the_clocks_of_replicas_say() {
    let ahead = TestApp::start().await;
    let behind = Setup { database: Some(ahead.database.clone()), ..Setup::default() }.start().await;
    ahead.clock.advance(TimeDelta::seconds(5));
    let (_, id, mut socket) = inside(&ahead, "Attendee").await;
    let issued = format!("/identities/{id}/:issueAccessToken");
    let token = async |app: &TestApp| app.post(&issued, json!({ "scopes": ["chat"] })).await.body["token"].clone();
    let earlier = token(&ahead).await;

    behind.post(&format!("/identities/{id}/:revokeAccessTokens"), json!({})).await;
    let later = token(&behind).await;

    assert_eq!(kind(&socket.next().await), (6, 40141));
    for app in [&ahead, &behind] {
        let told = async |token: &Value| {
            let query = format!("access_token={}", token.as_str().unwrap());
            kind(&Socket::connect(app, &query).await.next().await)
        };
        assert_eq!(told(&earlier).await, (9, 40141));
        assert_eq!(told(&later).await, (4, 0));
    }
}

#[tokio::test]
async fn a_token_revoked_through_another_replica_ends_its_connections_too() {
    let app = TestApp::start().await;
    let other = Setup { database: Some(app.database.clone()), ..Setup::default() }.start().await;
    let (_, id, mut socket) = inside(&app, "Attendee").await;
    other.clock.advance(TimeDelta::seconds(1));

    other.post(&format!("/identities/{id}/:revokeAccessTokens"), json!({})).await;

    assert_eq!(kind(&socket.next().await), (6, 40141));
}
