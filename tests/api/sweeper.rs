//! What is over is deleted (design, section 5).

use std::time::Duration;

use roomkeeper::jobs::sweeper::{self, BATCH, SweepError, Swept};
use tokio_util::sync::CancellationToken;

use crate::support::*;

const GRACE: TimeDelta = TimeDelta::days(7);

async fn tick(app: &TestApp) -> Swept {
    sweeper::tick(&app.ctx, GRACE, &CancellationToken::new()).await.unwrap()
}

/// Makes a room that is open for an hour and gives its path.
async fn an_hour(app: &TestApp) -> String {
    let until = (app.now() + TimeDelta::hours(1)).to_rfc3339();
    format!("/rooms/{}", app.room(json!({ "validUntil": until, "participants": { ANN: {} } })).await)
}

/// Makes many rooms that ended long ago.
async fn ended(app: &TestApp, count: u32) {
    sqlx::query(
        "INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until, pstn_dial_out_enabled, participant_count, roster_version)
         SELECT id, n, $2, $2, $2 + interval '1 minute', false, 0, 0 FROM resources, generate_series(1, $1) AS n",
    )
    .bind(i64::from(count))
    .bind(app.now() - TimeDelta::days(100))
    .execute(&app.db)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_room_is_gone_once_its_window_and_the_grace_are_over_and_the_sweeper_came_by() {
    let app = TestApp::start().await;
    let room = an_hour(&app).await;
    let later = app.room(json!({})).await;

    app.clock.advance(TimeDelta::hours(1) + GRACE - TimeDelta::microseconds(1));
    assert_eq!(tick(&app).await.rooms, 0);
    assert_eq!(app.get(&room).await.status, StatusCode::OK);

    app.clock.advance(TimeDelta::microseconds(1));
    let swept = tick(&app).await;
    assert_eq!((swept.rooms, swept.behind), (1, Some(TimeDelta::zero())));
    assert_eq!(app.get(&room).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get(&format!("/rooms/{later}")).await.status, StatusCode::OK);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM participants").fetch_one(&app.db).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_room_that_was_extended_within_the_grace_is_kept() {
    let app = TestApp::start().await;
    let room = an_hour(&app).await;

    app.clock.advance(TimeDelta::days(5));
    let window =
        json!({ "validFrom": app.now().to_rfc3339(), "validUntil": (app.now() + TimeDelta::days(9)).to_rfc3339() });
    assert_eq!(app.patch(&room, window).await.status, StatusCode::OK);
    app.clock.advance(TimeDelta::days(5));

    assert_eq!(tick(&app).await, Swept::default());
    assert_eq!(app.get(&room).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_room_that_is_extended_at_the_moment_of_the_sweep_is_kept() {
    let app = TestApp::start().await;
    let room = an_hour(&app).await;
    app.clock.advance(TimeDelta::days(30));

    // Somebody has begun to extend it and is not done: the sweep passes it by and does not wait.
    let mut extending = app.db.begin().await.unwrap();
    let extend = "UPDATE rooms SET valid_until = $1";
    sqlx::query(extend).bind(app.now() + TimeDelta::days(1)).execute(&mut *extending).await.unwrap();
    assert_eq!(tick(&app).await, Swept::default());
    extending.commit().await.unwrap();

    assert_eq!(tick(&app).await, Swept::default());
    assert_eq!(app.get(&room).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_room_that_somebody_holds_is_left_to_the_next_tick() {
    let app = TestApp::start().await;
    let rooms = u64::from(2 * BATCH);
    ended(&app, 2 * BATCH).await;
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("SELECT FROM rooms WHERE id = 1 FOR UPDATE").execute(&mut *holder).await.unwrap();

    assert_eq!(tick(&app).await.rooms, rooms - 1);
    holder.rollback().await.unwrap();

    assert_eq!(tick(&app).await.rooms, 1);
}

#[tokio::test]
async fn it_sweeps_by_itself_until_it_is_told_to_stop() {
    let app = TestApp::start().await;
    ended(&app, 3 * BATCH).await;
    let stop = CancellationToken::new();

    let sweeping = sweeper::run(app.ctx.clone(), Duration::from_secs(3_600), GRACE, stop.clone());
    let stopping = async {
        while app.count_rooms().await > 0 {}
        stop.cancel();
    };

    tokio::join!(sweeping, stopping);
}

#[tokio::test]
async fn two_sweepers_at_once_share_the_work() {
    let app = TestApp::start().await;
    let rooms = 3 * BATCH + 7;
    ended(&app, rooms).await;

    let (one, other) = tokio::join!(tick(&app), tick(&app));

    assert_eq!(one.rooms + other.rooms, u64::from(rooms));
    assert_eq!(app.count_rooms().await, 0);
}

#[tokio::test]
async fn it_ends_between_batches_when_it_is_told_to() {
    let app = TestApp::start().await;
    let rooms = 20 * BATCH;
    ended(&app, rooms).await;
    let stop = CancellationToken::new();

    let stopping = async {
        while app.count_rooms().await == i64::from(rooms) {}
        stop.cancel();
    };
    let (swept, ()) = tokio::join!(sweeper::tick(&app.ctx, GRACE, &stop), stopping);

    let swept = swept.unwrap().rooms;
    assert!(swept < u64::from(rooms), "it went on");
    assert_eq!(swept % u64::from(BATCH), 0);
    assert_eq!(app.count_rooms().await, i64::from(rooms) - i64::try_from(swept).unwrap());
}

#[tokio::test]
async fn answers_are_forgotten_when_their_time_is_over() {
    let app = TestApp::start().await;
    let request = app
        .request("POST", "/rooms")
        .header("Repeatability-Request-ID", "0b8d1b8e-8f3c-4d43-9a3b-6a36f9a0a001")
        .header("Repeatability-First-Sent", &http_date(app.now()));
    request.json(&json!({})).send().await;

    app.clock.advance(TimeDelta::hours(24) - TimeDelta::microseconds(1));
    assert_eq!(tick(&app).await.answers, 0);
    app.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(tick(&app).await.answers, 1);
    assert_eq!(app.count_rooms().await, 1);
}

#[tokio::test]
async fn it_says_how_far_behind_it_is() {
    let app = TestApp::start().await;
    an_hour(&app).await;
    app.clock.advance(TimeDelta::hours(1) + GRACE + TimeDelta::hours(3));

    assert_eq!(tick(&app).await.behind, Some(TimeDelta::hours(3)));
}

#[tokio::test]
async fn rooms_with_full_rosters_are_swept() {
    let app = TestApp::start().await;
    ended(&app, 200).await;
    sqlx::query(
        "INSERT INTO participants (resource_id, room_id, raw_id, role, position)
         SELECT resource_id, id, 'user ' || n, 'Attendee', n FROM rooms, generate_series(1, 350) AS n",
    )
    .execute(&app.db)
    .await
    .unwrap();

    assert_eq!(tick(&app).await.rooms, 200);
    assert_eq!(app.count_rooms().await, 0);
}

#[tokio::test]
async fn a_room_is_kept_until_the_clock_that_is_behind_says_that_it_is_over() {
    let app = TestApp::start().await;
    an_hour(&app).await;
    app.clock.advance(TimeDelta::hours(1) + GRACE);

    app.clock.advance_database(TimeDelta::seconds(-30));
    assert_eq!(tick(&app).await, Swept::default(), "the database's clock is behind");
    app.clock.advance(TimeDelta::seconds(30));
    app.clock.advance_database(TimeDelta::seconds(30));
    app.clock.advance_alone(TimeDelta::seconds(-60));
    assert_eq!(tick(&app).await, Swept::default(), "the service's clock is behind");

    app.clock.advance_alone(TimeDelta::seconds(30));
    assert_eq!(tick(&app).await.rooms, 1);
}

#[tokio::test]
async fn nothing_is_deleted_while_the_clocks_differ_by_more_than_a_minute() {
    for ahead in [TimeDelta::days(8), TimeDelta::milliseconds(60_001), TimeDelta::milliseconds(-60_001)] {
        let app = TestApp::start().await;
        ended(&app, 3).await;
        app.clock.advance_alone(ahead);

        let refused = sweeper::tick(&app.ctx, GRACE, &CancellationToken::new()).await.unwrap_err();

        let SweepError::Skew(skew) = &refused else { panic!("{refused:?}") };
        assert_eq!(*skew, -ahead, "by how much the database's clock is ahead");
        assert!(refused.to_string().contains(&format!("differ by {} s", ahead.num_seconds().abs())), "{refused}");
        assert_eq!(app.count_rooms().await, 3);
    }
}

#[tokio::test]
async fn a_minute_of_difference_is_swept_across() {
    let app = TestApp::start().await;
    ended(&app, 3).await;
    app.clock.advance_alone(TimeDelta::minutes(1));

    assert_eq!(tick(&app).await.rooms, 3);
}
