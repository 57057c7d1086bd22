//! The database goes away and comes back.

use std::time::{Duration, Instant};

use roomkeeper::store::embedded::Cluster;
use roomkeeper::store::pool;
use tokio::task::spawn_blocking;

use crate::support::*;

async fn start(folder: &std::path::Path) -> Cluster {
    let settings = cluster_settings(folder.to_owned());
    spawn_blocking(move || Cluster::start(&settings).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_database_that_is_gone_makes_503_in_time_and_recovers_by_itself() {
    let folder = tempfile::Builder::new().prefix("rk").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let cluster = start(&folder.path().join("pg")).await;
    let database = cluster.connect_options("postgres");
    pool::migrate(&database).await.unwrap();
    let app = Setup { database: Some(database), ..Setup::default() }.start().await;
    let room = app.room_with(json!({ ANN: {} })).await;
    let path = format!("/rooms/{room}");

    spawn_blocking(move || cluster.stop()).await.unwrap();

    let attempts = [
        ("GET", path.clone(), json!(null)),
        ("GET", "/rooms".to_owned(), json!(null)),
        ("POST", "/rooms".to_owned(), json!({})),
        ("PATCH", path.clone(), json!({ "pstnDialOutEnabled": true })),
        ("PATCH", format!("{path}/participants"), json!({ "participants": { BOB: {} } })),
        ("POST", "/identities".to_owned(), json!({})),
        ("DELETE", path.clone(), json!(null)),
    ];
    for (method, path, body) in &attempts {
        let began = Instant::now();
        let request = app.request(method, path);
        let answer = if body.is_null() { request.send().await } else { request.json(body).send().await };
        assert_eq!((answer.status.as_u16(), answer.error().1), (503, "ServiceUnavailable"), "{method} {path}");
        assert!(answer.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()));
        assert!(began.elapsed() < Duration::from_secs(2), "{method} {path} took {:?}", began.elapsed());
    }
    let ready = app.request("GET", "/health/ready").unsigned().send().await;
    let live = app.request("GET", "/health/live").unsigned().send().await;
    assert_eq!((ready.status, live.status), (StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK));
    assert!(ready.header("retry-after").is_some());

    let cluster = start(&folder.path().join("pg")).await;

    let found = app.get(&path).await;
    assert_eq!((found.status, &found.body["pstnDialOutEnabled"]), (StatusCode::OK, &json!(false)));
    assert_eq!(app.roster(&room).await.len(), 1);
    assert_eq!(app.request("GET", "/health/ready").unsigned().send().await.status, StatusCode::OK);
    spawn_blocking(move || cluster.stop()).await.unwrap();
}

/// A server that is there and does not answer: its processes are stopped, not ended.
#[tokio::test]
async fn a_database_that_hangs_makes_503_in_time() {
    let app = TestApp::start().await;
    let room = app.room(json!({})).await;
    // Another session holds the room, so that a change of it waits for ever.
    let mut holder = app.ctx.db.begin().await.unwrap();
    sqlx::query("SELECT FROM rooms FOR UPDATE").execute(&mut *holder).await.unwrap();

    let began = Instant::now();
    let answer = app.patch(&format!("/rooms/{room}"), json!({ "pstnDialOutEnabled": true })).await;

    assert_eq!((answer.status.as_u16(), answer.error().1), (503, "ServiceUnavailable"));
    assert!(began.elapsed() < Duration::from_secs(2), "took {:?}", began.elapsed());
    holder.rollback().await.unwrap();
    assert_eq!(app.get(&format!("/rooms/{room}")).await.status, StatusCode::OK);
}
