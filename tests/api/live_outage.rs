//! Live rooms while the database is away: who is inside stays, and a channel waits alone (docs/live-connections.md).

use crate::support::*;

/// A client with the key, connected.
async fn connected(app: &TestApp) -> Socket {
    let mut socket = Socket::connect(app, &format!("{LIVE_KEY}&clientId=ann")).await;
    assert_eq!(socket.next().await["action"], 4);
    socket
}

fn attach(room: &str) -> Value {
    json!({ "action": 10, "channel": channel(room), "flags": 3_080_192 })
}

#[tokio::test]
async fn a_channel_that_can_not_be_checked_is_detached_alone_and_holds_nothing_up() {
    let app = TestApp::start().await;
    let mut ann = Socket::in_room(&app, "ann", "lobby").await;
    app.ctx.db.close(); // as good as away

    ann.send(attach("other")).await;
    ann.send(json!({ "action": 0, "id": "ping" })).await;
    ann.say("lobby", 0, "meanwhile").await;

    assert_eq!(ann.next().await, json!({ "action": 0, "id": "ping" }));
    assert_eq!((ann.next().await["action"].clone(), ann.next().await["action"].clone()), (json!(15), json!(1)));
    let detached = ann.next().await;
    assert_eq!((kind(&detached), &detached["channel"]), ((13, 50003), &json!(channel("other"))));
    ann.say("lobby", 1, "and after").await;
    assert_eq!(ann.next().await["action"], 15);
}

#[tokio::test]
async fn many_channels_are_checked_together() {
    let app = TestApp::start().await;
    let mut ann = connected(&app).await;
    app.ctx.db.close();
    for n in 0..10 {
        ann.send(attach(&format!("room {n}"))).await;
    }

    let began = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(kind(&ann.next().await), (13, 50003));
    }

    assert!(began.elapsed().as_secs() < 10, "the SDK gives an attach up after 10 s: took {:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_sent_to_a_channel_that_is_being_checked_comes_after_it() {
    let app = TestApp::start().await;
    let mut ann = connected(&app).await;

    ann.send(attach("lobby")).await;
    ann.say("lobby", 0, "right behind").await;
    ann.send(json!({ "action": 12, "channel": channel("lobby") })).await;

    let mut actions = Vec::new();
    for _ in 0..4 {
        actions.push(ann.next().await["action"].clone());
    }
    assert_eq!(actions, [11, 15, 1, 13]);
}

#[tokio::test]
async fn who_is_in_a_room_stays_there_when_it_asks_for_something_else() {
    let app = TestApp::start().await;
    let (id, mut ann) = live_user(&app).await;
    let room = app.room_with(json!({ id: { "role": "Attendee" } })).await;
    let first = ann.attach(&room).await;
    assert_eq!(kind(&first), (11, 0));
    app.ctx.db.close();

    ann.send(json!({ "action": 10, "channel": channel(&room), "flags": 1 << 18 })).await;
    let again = ann.next().await;

    assert_eq!((kind(&again), again["flags"].as_u64().unwrap() & 4, modes(&again)), ((11, 0), 4, 1 << 18));
}

#[tokio::test]
async fn a_connection_that_broke_off_comes_back_into_its_rooms() {
    let app = TestApp::start().await;
    let mut ann = Socket::connect(&app, &format!("{LIVE_KEY}&clientId=ann")).await;
    let key = ann.next().await["connectionDetails"]["connectionKey"].as_str().unwrap().to_owned();
    let room = app.room(json!({})).await;
    let attached = ann.attach(&room).await;
    let serial = attached["channelSerial"].clone();
    drop(ann);
    app.ctx.db.close();

    let mut ann = Socket::connect(&app, &format!("{LIVE_KEY}&clientId=ann&resume={key}")).await;
    assert_eq!(kind(&ann.next().await), (4, 0));
    ann.send(json!({ "action": 10, "channel": channel(&room), "flags": 3_080_192, "channelSerial": serial })).await;
    let again = ann.next().await;

    assert_eq!((kind(&again), again["flags"].as_u64().unwrap() & 4), ((11, 0), 4));
}

#[tokio::test]
async fn who_was_never_in_a_room_does_not_get_in_by_what_others_are_known_to_be() {
    let app = TestApp::start().await;
    let _ann = Socket::in_room(&app, "ann", "lobby").await;
    let mut eve = connected(&app).await;
    app.ctx.db.close();

    eve.send(attach("lobby")).await;

    assert_eq!(kind(&eve.next().await), (13, 50003));
}

#[tokio::test]
async fn a_window_that_ended_lets_nobody_back_in() {
    let app = TestApp::start().await;
    let mut ann = Socket::connect(&app, &format!("{LIVE_KEY}&clientId=ann")).await;
    let key = ann.next().await["connectionDetails"]["connectionKey"].as_str().unwrap().to_owned();
    let room = app.room(json!({ "validUntil": "2026-11-21T02:07:52Z" })).await;
    ann.attach(&room).await;
    drop(ann);
    app.ctx.db.close();
    app.clock.advance(TimeDelta::hours(1));

    let mut ann = Socket::connect(&app, &format!("{LIVE_KEY}&clientId=ann&resume={key}")).await;
    assert_eq!(kind(&ann.next().await), (4, 0));
    ann.send(attach(&room)).await;

    assert_eq!(kind(&ann.next().await), (13, 50003));
}

#[tokio::test]
async fn a_token_that_can_not_be_judged_now_is_asked_for_again() {
    let app = TestApp::start().await;
    let (_, token) = user_token(&app).await;
    let mut ann = Socket::connect(&app, &format!("access_token={token}")).await;
    assert_eq!(ann.next().await["action"], 4);
    app.ctx.db.close();

    ann.send(json!({ "action": 17, "auth": { "accessToken": token } })).await;
    ann.send(json!({ "action": 0, "id": "still here" })).await;

    assert_eq!(ann.next().await["id"], "still here");
    assert_eq!(ann.next().await["action"], 17);
}
