//! The order of live rooms over restarts and clocks that differ (docs/order.md).

use std::time::Duration;

use crate::support::*;

/// A service on the database of another one, with a clock that is so far from it.
async fn beside(app: &TestApp, by: TimeDelta) -> TestApp {
    let other = Setup { database: Some(app.database.clone()), ..Setup::default() }.start().await;
    other.clock.advance(by);
    other
}

fn serial(frame: &Value) -> String {
    let text = frame["channelSerial"].as_str().unwrap();
    text.split_once('@').unwrap().0.to_owned()
}

async fn ceiling(app: &TestApp) -> Option<i64> {
    sqlx::query_scalar("SELECT ceiling FROM serial_ceilings").fetch_optional(&app.db).await.unwrap()
}

#[tokio::test]
async fn a_service_whose_clock_is_behind_goes_on_after_the_serials_of_the_one_before() {
    let before = TestApp::start().await;
    before.clock.advance(TimeDelta::hours(1));
    let mut ann = Socket::connect(&before, &format!("{LIVE_KEY}&clientId=ann")).await;
    assert_eq!(ann.next().await["action"], 4);
    ann.attach("lobby").await;
    ann.say("lobby", 0, "before").await;
    let said = ann.next().await;

    let after = beside(&before, TimeDelta::zero()).await;
    let mut ann = Socket::connect(&after, &format!("{LIVE_KEY}&clientId=ann")).await;
    assert_eq!(ann.next().await["action"], 4);
    let attached = ann.attach("lobby").await;
    ann.say("lobby", 0, "after").await;
    let said_after = ann.next().await;

    assert!(serial(&attached) > serial(&said), "{attached} {said}");
    assert!(serial(&said_after) > serial(&attached), "{said_after} {attached}");
    assert!(said_after["timestamp"].as_i64() > said["timestamp"].as_i64());
}

#[tokio::test]
async fn nothing_is_kept_of_serials_until_a_room_is_live() {
    let app = TestApp::start().await;
    let mut ann = Socket::connect(&app, &format!("{LIVE_KEY}&clientId=ann")).await;
    assert_eq!(ann.next().await["action"], 4);
    assert_eq!(ceiling(&app).await, None);

    ann.attach("lobby").await;

    assert_eq!(ceiling(&app).await, Some(app.now().timestamp_millis() + 10_000));
}

#[tokio::test]
async fn the_ceiling_is_raised_before_the_clock_reaches_it() {
    let app = TestApp::start().await;
    let _ann = Socket::in_room(&app, "ann", "lobby").await;
    let first = ceiling(&app).await.unwrap();

    app.clock.advance(TimeDelta::seconds(6));

    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if ceiling(&app).await.unwrap() == first + 6_000 {
            return;
        }
    }
    panic!("it is still {:?}", ceiling(&app).await);
}

#[tokio::test]
async fn rooms_go_on_while_the_ceiling_can_not_be_raised() {
    let app = TestApp::start().await;
    let mut ann = Socket::in_room(&app, "ann", "lobby").await;
    app.ctx.db.close(); // as good as away
    app.clock.advance(TimeDelta::minutes(1));

    ann.say("lobby", 0, "still here").await;

    let said = ann.next().await;
    assert_eq!(said["timestamp"], app.now().timestamp_millis());
    assert_eq!(ann.next().await["action"], 1);
}
