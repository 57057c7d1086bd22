//! A database that is named, and several services on it.

use crate::service::{DataDir, Service, command, complaint, get, make_room, postgres, run, sql};

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

    assert_eq!(without.status.code(), Some(2));
    assert!(complaint(&without).contains("run `roomkeeper migrate`"), "{without:?}");
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

/// Runs SQL on a database, as its superuser.
#[tokio::test]
async fn a_schema_of_a_newer_release_and_another_encoding_are_refused_with_what_to_do() {
    let (_data, postgres, url) = postgres();
    let folder = DataDir::new();
    Service::spawn(command(folder.path(), &["--database-url", &url])).stop();
    sql(
        &url,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
               VALUES (9999, 'of a later release', true, '', 0)",
    )
    .await;
    sql(&url, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'").await;
    let latin = url.replacen("roomkeeper", "latin", 1);

    for (url, args, wanted) in [
        (&url, &["--no-migrate"][..], "the schema is of a newer release: start that one"),
        (&latin, &[], "the database's encoding is LATIN1"),
    ] {
        let ended = run(command(folder.path(), &[&["--database-url", url], args].concat()));
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(complaint(&ended).contains(wanted), "{ended:?}");
    }
    postgres.stop();
}

#[tokio::test]
async fn a_role_that_may_not_make_tables_serves_a_schema_that_is_up_to_date() {
    let (_data, postgres, url) = postgres();
    let folder = DataDir::new();
    Service::spawn(command(folder.path(), &["--database-url", &url])).stop();
    sql(
        &url,
        "CREATE ROLE worker LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO worker",
    )
    .await;

    let worker = url.replace("user=postgres", "user=worker");
    let service = Service::spawn(command(folder.path(), &["--database-url", &worker]));

    make_room(&folder).await;
    service.stop();
    postgres.stop();
}

#[tokio::test]
async fn a_migration_that_waits_for_a_table_lets_others_pass_and_is_done_once_it_is_free() {
    let (_data, postgres, url) = postgres();
    let folder = DataDir::new();
    Service::spawn(command(folder.path(), &["--database-url", &url])).stop();
    sql(&url, "DELETE FROM _sqlx_migrations WHERE version = 7; ALTER TABLE identities DROP COLUMN revocations").await;
    let options = roomkeeper::store::pool::options_from_url(&url).unwrap();
    let pool = sqlx::PgPool::connect_lazy_with(options);
    let mut reader = pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM identities").execute(&mut *reader).await.unwrap();

    let migrating = command(folder.path(), &["migrate", "--database-url", &url]);
    let migrating = tokio::task::spawn_blocking(|| run(migrating));
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&pool).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let other = sqlx::query("SELECT 1 FROM identities");
    let waited = tokio::time::timeout(std::time::Duration::from_secs(30), other.execute(&pool)).await;
    waited.expect("others wait for no longer than the migration does").unwrap();
    reader.rollback().await.unwrap();

    let ended = migrating.await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    pool.close().await;
    postgres.stop();
}
