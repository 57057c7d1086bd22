//! Requests that are in flight together share statements, and each is answered as if it had been alone.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join, join_all};
use sqlx::PgPool;

use crate::support::*;

/// Sends requests while a table is locked, so that they come together, and lets go once one of them waits for it.
async fn together<T>(
    db: &PgPool,
    lock: &'static str,
    requests: impl IntoIterator<Item = impl Future<Output = T>>,
) -> Vec<T> {
    let mut holder = db.begin().await.unwrap();
    sqlx::query(lock).execute(&mut *holder).await.unwrap();
    let let_go = async {
        while waiting(db).await == 0 {}
        holder.commit().await.unwrap();
    };
    join(join_all(requests), let_go).await.0
}

/// Statements of this database that wait for a lock.
async fn waiting(db: &PgPool) -> i64 {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(waiting).fetch_one(db).await.unwrap()
}

/// Nobody writes rooms meanwhile.
const NO_WRITES: &str = "LOCK TABLE rooms IN EXCLUSIVE MODE";

fn rooms(ids: &[String]) -> BTreeSet<&str> {
    ids.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn gets_in_flight_share_statements() {
    let beside = TestApp::start().await;
    let wire = Wire::to(&beside.database).await;
    let app = Setup { database: Some(wire.database()), ..Setup::default() }.start().await;
    let ids = join_all((0..40).map(|_| beside.room(json!({})))).await;
    wire.round_trips();

    let get = async |id: &String| app.get(&format!("/rooms/{id}")).await;
    let answers = together(&beside.db, "LOCK TABLE rooms", ids.iter().map(get)).await;

    let got: Vec<&str> = answers.iter().map(|answer| answer.body["id"].as_str().unwrap()).collect();
    assert_eq!(got, ids, "each its own");
    let asked = wire.round_trips().into_iter().flatten().filter(|sql| sql.contains("pstn_dial_out_enabled")).count();
    assert!(asked < ids.len() / 2, "{asked} statements");
}

#[tokio::test]
async fn pages_that_are_asked_for_together_are_the_same_as_alone() {
    let app = TestApp::start().await;
    join_all((0..70).map(|_| app.room(json!({})))).await;
    let mut pages = vec![("/rooms".to_owned(), app.get("/rooms").await.body)];
    while let Some(link) = pages[pages.len() - 1].1["nextLink"].as_str() {
        let path = link[link.find("/rooms").unwrap()..].to_owned();
        let page = app.get(&path).await.body;
        pages.push((path, page));
    }
    assert_eq!(pages.len(), 3);

    let list = async |n: usize| app.get(&pages[n % 3].0).await;
    let answers = together(&app.db, "LOCK TABLE rooms", (0..30).map(list)).await;

    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.body, pages[n % 3].1, "page {}", n % 3);
    }
}

#[tokio::test]
async fn creates_that_share_a_statement_are_rooms_of_their_own() {
    let app = TestApp::start().await;
    let create = async |n: usize| {
        let roster = (0..n % 4).map(|k| (user(10 * n + k), json!({ "role": "Presenter" })));
        app.room(json!({ "participants": roster.collect::<serde_json::Map<_, _>>() })).await
    };
    let ids = together(&app.db, NO_WRITES, (0..40).map(create)).await;

    assert_eq!(rooms(&ids).len(), 40);
    for (n, id) in ids.iter().enumerate() {
        let roster: Vec<String> = app.roster(id).await.into_iter().map(|(raw_id, _)| raw_id).collect();
        assert_eq!(roster, (0..n % 4).map(|k| user(10 * n + k)).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_create_that_meets_a_taken_room_id_keeps_none_of_the_others_from_theirs() {
    let other = TestApp::start().await;
    let app = Setup { database: Some(other.database.clone()), ..Setup::default() }.start().await;
    // The first ids that the service would make.
    let taken = join_all((0..5).map(|_| other.room(json!({})))).await;

    let ids = together(&app.db, NO_WRITES, (0..20).map(|_| app.room_with(json!({ ANN: {} })))).await;

    assert_eq!(rooms(&ids).len(), 20);
    assert!(rooms(&ids).is_disjoint(&rooms(&taken)));
    assert_eq!(app.count_rooms().await, 25);
}

#[tokio::test]
async fn a_create_that_comes_again_gets_the_first_answer_among_others() {
    let app = TestApp::start().await;
    let create = |n: usize| {
        app.request("POST", "/rooms")
            .header("Repeatability-Request-ID", &format!("0b8d1b8e-8f3c-4d43-9a3b-{:012x}", n % 10))
            .header("Repeatability-First-Sent", &http_date(app.now()))
            .json(&json!({}))
            .send()
    };
    let answers = together(&app.db, NO_WRITES, (0..40).map(create)).await;

    let mut by_request = BTreeMap::<usize, BTreeSet<String>>::new();
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        by_request.entry(n % 10).or_default().insert(answer.body.to_string());
    }
    assert!(by_request.values().all(|answers| answers.len() == 1), "{by_request:?}");
    assert_eq!(app.count_rooms().await, 10);
}

#[tokio::test]
async fn of_changes_that_share_a_statement_only_the_bad_ones_fail() {
    let app = Setup { max_participants: 2, ..Setup::default() }.start().await;
    let ids = join_all((0..30).map(|_| app.room_with(json!({ ANN: {} })))).await;
    let change = async |(n, id): (usize, &String)| {
        let (id, roster) = match n % 3 {
            0 => (id.as_str(), json!({ ANN: { "role": "Consumer" }, BOB: {} })),
            1 => (id.as_str(), json!({ BOB: {}, CID: {} })), // too many with Ann
            _ => ("994000000000000001", json!({ BOB: {} })), // no such room
        };
        app.patch(&format!("/rooms/{id}/participants"), json!({ "participants": roster })).await.status
    };
    let statuses = together(&app.db, NO_WRITES, ids.iter().enumerate().map(change)).await;

    for (n, id) in ids.iter().enumerate() {
        let roster = app.roster(id).await;
        let ann = |role: &str| (ANN.to_owned(), role.to_owned());
        match n % 3 {
            0 => {
                assert_eq!(statuses[n], StatusCode::OK);
                assert_eq!(roster, [ann("Consumer"), (BOB.to_owned(), "Attendee".to_owned())]);
            }
            1 => assert_eq!((statuses[n], roster), (StatusCode::BAD_REQUEST, vec![ann("Attendee")])),
            _ => assert_eq!((statuses[n], roster), (StatusCode::NOT_FOUND, vec![ann("Attendee")])),
        }
    }
}

#[tokio::test]
async fn a_change_that_waits_for_its_room_holds_up_no_other_room() {
    let app = TestApp::start().await;
    let held = app.room_with(json!({ ANN: {} })).await;
    let free = join_all((0..10).map(|_| app.room_with(json!({ ANN: {} })))).await;
    let remove = async |room: &String| {
        app.patch(&format!("/rooms/{room}/participants"), json!({ "participants": { ANN: null } })).await.status
    };
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("SELECT FROM rooms WHERE id::text = $1 FOR UPDATE").bind(&held).execute(&mut *holder).await.unwrap();

    let others = async {
        let answers = join_all(free.iter().map(remove)).await;
        // Who holds the room changes its roster, too.
        while waiting(&app.db).await == 0 {}
        sqlx::query("UPDATE rooms SET roster_version = roster_version + 1 WHERE id::text = $1")
            .bind(&held)
            .execute(&mut *holder)
            .await
            .unwrap();
        holder.commit().await.unwrap();
        answers
    };
    let (waited, others) = join(remove(&held), others).await;

    assert_eq!(others, [StatusCode::OK; 10]);
    assert_eq!((waited, app.roster(&held).await), (StatusCode::OK, vec![]));
}

#[tokio::test]
async fn a_read_sees_what_was_acknowledged_before_it_was_sent() {
    let app = TestApp::start().await;
    let rooms = join_all((0..4).map(|_| app.room(json!({})))).await;
    let path = |id: &str| format!("/rooms/{id}");
    // Others ask for the same rooms all the time, so that there is always a statement that runs.
    let write = async |id: &String| {
        for n in 0..25 {
            let flag = json!(n % 2 == 0);
            assert_eq!(app.patch(&path(id), json!({ "pstnDialOutEnabled": flag })).await.status, StatusCode::OK);
            assert_eq!(app.get(&path(id)).await.body["pstnDialOutEnabled"], flag);
            let patch = json!({ "participants": { user(n): {} } });
            assert_eq!(app.patch(&format!("{}/participants", path(id)), patch).await.status, StatusCode::OK);
            assert_eq!(app.roster(id).await.len(), n + 1);
            let made = app.room(json!({})).await;
            assert_eq!(app.get(&path(&made)).await.status, StatusCode::OK);
            assert_eq!(app.delete(&path(&made)).await.status, StatusCode::NO_CONTENT);
            assert_eq!(app.get(&path(&made)).await.status, StatusCode::NOT_FOUND);
        }
    };
    let read = async |n: usize| loop {
        app.get(&path(&rooms[n % rooms.len()])).await;
    };
    tokio::select! {
        _ = join_all(rooms.iter().map(write)) => {}
        _ = join_all((0..8).map(read)) => unreachable!("they read for ever"),
    }
}
