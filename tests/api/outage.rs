//! The database goes away and comes back.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use roomkeeper::store::embedded::Cluster;
use roomkeeper::store::schema;
use roomkeeper::store::{self, StoreError};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::support::*;

async fn start(folder: &Path) -> Cluster {
    let settings = cluster_settings(folder.to_owned());
    spawn_blocking(move || Cluster::start(&settings).unwrap()).await.unwrap()
}

/// A service on a cluster that no other test uses, so that it can be stopped.
async fn on_its_own_cluster() -> (TempDir, Cluster, TestApp) {
    let folder = tempfile::Builder::new().prefix("rk").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let cluster = start(&folder.path().join("pg")).await;
    let database = cluster.connect_options("postgres");
    schema::migrate(&database).await.unwrap();
    let app = Setup { database: Some(database), ..Setup::default() }.start().await;
    (folder, cluster, app)
}

#[tokio::test]
async fn a_database_that_is_gone_makes_503_in_time_and_recovers_by_itself() {
    let (folder, cluster, app) = on_its_own_cluster().await;
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
    tokio::time::sleep(STALE).await;
    assert_eq!(self::ready(&app).await, (200, String::new()));
    spawn_blocking(move || cluster.stop()).await.unwrap();
}

#[tokio::test]
async fn a_row_that_somebody_holds_makes_503_in_time() {
    let app = TestApp::start().await;
    let room = app.room(json!({})).await;
    // Another session holds the room, so that a change of it waits for ever.
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("SELECT FROM rooms FOR UPDATE").execute(&mut *holder).await.unwrap();

    let began = Instant::now();
    let answer = app.patch(&format!("/rooms/{room}"), json!({ "pstnDialOutEnabled": true })).await;

    assert_eq!((answer.status.as_u16(), answer.error().1), (503, "ServiceUnavailable"));
    assert!(began.elapsed() < Duration::from_secs(2), "took {:?}", began.elapsed());
    holder.rollback().await.unwrap();
    assert_eq!(app.get(&format!("/rooms/{room}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn connections_that_go_silent_are_given_up_and_replaced() {
    let own = TestApp::start().await;
    let wire = Wire::to(&own.database).await;
    let app = Setup { database: Some(wire.database()), ..Setup::default() }.start().await;
    let room = format!("/rooms/{}", app.room(json!({})).await);
    let get = || async { app.get(&room).await.status };
    // Some connections for it to have.
    let roster = format!("{room}/participants");
    join_all((0..60).map(|_| app.get(&roster))).await;

    wire.silence();
    join_all((0..60).map(|_| get())).await; // each of the connections is asked, and does not answer

    let began = Instant::now();
    while get().await != StatusCode::OK {
        assert!(began.elapsed() < Duration::from_secs(30), "did not recover");
    }
    let all = join_all((0..60).map(|_| get())).await;
    assert!(all.iter().filter(|status| **status == StatusCode::OK).count() > 30, "{all:?}");
}

#[tokio::test]
async fn a_database_whose_processes_are_stopped_makes_503_in_time_and_recovers() {
    let (folder, cluster, app) = on_its_own_cluster().await;
    let room = format!("/rooms/{}", app.room(json!({})).await);
    let processes = processes_in(&folder.path().join("pg/data"));
    let signal_all = |signal| processes.iter().for_each(|pid| kill(*pid, signal).unwrap());

    signal_all(Signal::SIGSTOP);
    let began = Instant::now();
    let answer = app.get(&room).await;
    let took = began.elapsed();
    signal_all(Signal::SIGCONT);

    assert_eq!(answer.error().0, 503);
    assert!(took < Duration::from_secs(2), "took {took:?}");
    let began = Instant::now();
    while app.get(&room).await.status != StatusCode::OK {
        assert!(began.elapsed() < Duration::from_secs(30), "did not recover");
    }
    spawn_blocking(move || cluster.stop()).await.unwrap();
}

fn processes_in(folder: &Path) -> Vec<Pid> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter(|process| std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == folder))
        .map(|process| Pid::from_raw(process.file_name().to_str().unwrap().parse().unwrap()))
        .collect()
}

/// Longer than the result of a probe is reused.
const STALE: Duration = Duration::from_millis(300);

async fn ready(app: &TestApp) -> (u16, String) {
    let answer = app.request("GET", "/health/ready").unsigned().send().await;
    (answer.status.as_u16(), answer.body["reason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_service_is_ready_only_while_it_may_write_and_says_why_not() {
    let app = TestApp::start().await;
    assert_eq!(ready(&app).await, (200, String::new()));
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("LOCK TABLE rooms IN ACCESS EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();

    tokio::time::sleep(STALE).await;
    let (status, reason) = ready(&app).await;
    assert_eq!(status, 503);
    assert!(reason.starts_with("the database refuses writes: ") && reason.contains("55P03"), "{reason}");

    holder.rollback().await.unwrap();
    tokio::time::sleep(STALE).await;
    assert_eq!(ready(&app).await, (200, String::new()));
}

#[tokio::test]
async fn a_server_that_only_reads_may_not_be_written_to() {
    let app = TestApp::start().await;
    let mut conn = app.db.acquire().await.unwrap();
    sqlx::query("SET default_transaction_read_only = on").execute(&mut *conn).await.unwrap();

    let refused = store::health::may_write(&mut conn).await.unwrap_err();

    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(refused.reported().unwrap().contains("25006"), "{refused:?}");
    conn.close().await.unwrap();
}

#[tokio::test]
async fn a_lock_that_is_not_free_in_the_time_that_the_operator_set_makes_503() {
    let app = TestApp::start().await;
    let database = app.database.clone().options([("lock_timeout", "100ms")]);
    let hurried = Setup { database: Some(database), ..Setup::default() }.start().await;
    let room = app.room(json!({})).await;
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("LOCK TABLE rooms IN ACCESS EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();

    let changed = hurried.patch(&format!("/rooms/{room}"), json!({ "pstnDialOutEnabled": true })).await;
    let made = hurried.post("/rooms", json!({})).await;

    for answer in [changed, made] {
        assert_eq!((answer.status.as_u16(), answer.error().1), (503, "ServiceUnavailable"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}
