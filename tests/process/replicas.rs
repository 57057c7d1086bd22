//! A database that is named, and several services on it.

use crate::service::{DataDir, Service, command, complaint, get, make_room, postgres, run};

#[tokio::test]
async fn replicas_that_start_at_once_on_an_empty_database_agree() {
    let (_data, postgres, url) = postgres();
    let folders: Vec<DataDir> = (0..4).map(|_| DataDir::new()).collect();

    let starting = folders.iter().map(|folder| {
        let command = command(folder.path(), &["--database-url", &url]);
        std::thread::spawn(|| Service::spawn(command))
    });
    let services: Vec<_> = starting.collect::<Vec<_>>().into_iter().map(|s| s.join().unwrap()).collect();

    let room = make_room(&folders[0]).await;
    for folder in &folders {
        assert_eq!(get(folder, &room).await.status, 200);
        assert!(!folder.join("postgres").exists(), "there is no private Postgres beside a named one");
    }
    let options = roomkeeper::store::pool::options_from_url(&url).unwrap();
    let pool = sqlx::PgPool::connect_lazy_with(options);
    for (table, wanted) in [("resources", 1_i64), ("access_keys", 2), ("signing_keys", 1)] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(&pool).await.unwrap(), wanted, "{table}");
    }
    pool.close().await;
    for service in services {
        assert_eq!(service.stop().status.code(), Some(0));
    }
    postgres.stop();
}

#[test]
fn a_schema_is_not_touched_with_no_migrate() {
    let (_data, postgres, url) = postgres();
    let folder = DataDir::new();

    let without = run(command(folder.path(), &["--database-url", &url, "--no-migrate"]));
    let migrated = run(command(folder.path(), &["migrate", "--database-url", &url]));
    let after = Service::spawn(command(folder.path(), &["--database-url", &url, "--no-migrate"]));

    assert_eq!(without.status.code(), Some(1));
    assert!(complaint(&without).contains("preparing the database"), "{without:?}");
    assert_eq!(migrated.status.code(), Some(0));
    after.stop();
    postgres.stop();
}

#[test]
fn replicas_do_not_share_a_folder() {
    let (_data, postgres, url) = postgres();
    let folder = DataDir::new();
    let first = Service::spawn(command(folder.path(), &["--database-url", &url]));

    let second = run(command(folder.path(), &["--database-url", &url]));

    assert_eq!(second.status.code(), Some(1));
    assert!(complaint(&second).contains("every instance has a data folder of its own (--data-dir)"), "{second:?}");
    assert!(folder.endpoint().is_some());
    first.stop();
    postgres.stop();
}
