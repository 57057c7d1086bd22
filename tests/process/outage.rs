//! The log of a service whose database goes away, is blocked, or limits its connections.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::service::{DataDir, Ended, Service, command, get, make_room, postgres, request, sql};

const REQUESTS: usize = 300;
const GROUPS: usize = 6;
const BEGINS: &str = "the database is not available: requests are answered 503";
const ENDS: &str = "the database is available again";

/// The lines of the log with a message.
fn lines(ended: &Ended, message: &str) -> Vec<Value> {
    let lines = ended.stderr.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.filter(|line| line["message"] == message).collect()
}

#[tokio::test]
async fn an_outage_under_load_is_one_line_when_it_begins_and_one_when_it_has_ended() {
    let (data, database, url) = postgres();
    let folder = DataDir::new();
    let service = Service::spawn(command(folder.path(), &["--database-url", &url]));
    let room = make_room(&folder).await;

    database.stop();
    for _ in 0..GROUPS {
        let answers = join_all((0..REQUESTS / GROUPS).map(|_| get(&folder, &room))).await;
        assert!(answers.iter().all(|answer| answer.status == 503), "{answers:?}");
    }
    let database = Service::spawn(command(data.path(), &["postgres"]));
    assert_eq!(get(&folder, &room).await.status, 200);
    tokio::time::sleep(std::time::Duration::from_secs(14)).await; // ten seconds without a failure are its end
    let ended = service.stop();
    database.stop();

    let (begins, ends) = (lines(&ended, BEGINS), lines(&ended, ENDS));
    assert_eq!((begins.len(), ends.len()), (1, 1), "{}", ended.stderr);
    assert!(begins[0]["cause"].as_str().is_some_and(|cause| !cause.contains("Error {")), "{}", begins[0]);
    let count = |name: &str| ends[0][name].as_u64().unwrap_or_else(|| panic!("{name} of {} is a number", ends[0]));
    let refused: u64 =
        lines(&ended, "no requests are refused any more").iter().map(|l| l["refused"].as_u64().unwrap()).sum();
    assert!(count("failed") + refused >= REQUESTS as u64, "{}", ended.stderr);
    assert_eq!(count("failed"), count("no_connection") + count("queue") + count("refused"), "{}", ends[0]);
    assert!(count("no_connection") > 0 && ends[0]["seconds"].is_u64());
    assert!(ended.stderr.lines().count() < 40, "{}", ended.stderr);
}

#[tokio::test]
async fn a_lock_and_a_slow_statement_are_told_apart() {
    for (held_by, kind, cause) in [
        ("LOCK TABLE rooms IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4)", "lock", "(SQLSTATE 55P03)"),
        (
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$; \
             CREATE TRIGGER slow BEFORE UPDATE ON rooms FOR EACH ROW EXECUTE FUNCTION slow()",
            "slow_statement",
            "takes too long",
        ),
    ] {
        let (_data, database, url) = postgres();
        let folder = DataDir::new();
        let service = Service::spawn(command(folder.path(), &["--database-url", &url]));
        let room = make_room(&folder).await;

        let holding = tokio::spawn(async move { sql(&url, held_by).await });
        let answers = async {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            request(&folder, "PATCH", &room).json(&json!({ "pstnDialOutEnabled": true })).send().await
        };
        let answer = answers.await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("1")), "{kind}");
        holding.await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await; // counts are read each second
        let ended = service.stop();
        database.stop();

        let begins = lines(&ended, BEGINS);
        assert_eq!(begins.len(), 1, "{}", ended.stderr);
        assert!(begins[0][kind].as_u64() > Some(0), "{}", begins[0]);
        assert!(begins[0]["cause"].as_str().unwrap().contains(cause), "{}", begins[0]);
    }
}

#[tokio::test]
async fn a_role_that_may_have_three_connections_is_served_by_them() {
    let (_data, database, url) = postgres();
    let folder = DataDir::new();
    Service::spawn(command(folder.path(), &["--database-url", &url])).stop();
    sql(&url, "CREATE ROLE worker LOGIN CONNECTION LIMIT 3; GRANT ALL ON ALL TABLES IN SCHEMA public TO worker").await;
    let worker = url.replace("user=postgres", "user=worker");
    let service = Service::spawn(command(folder.path(), &["--database-url", &worker]));
    let room = make_room(&folder).await;

    for _ in 0..10 {
        let reads = join_all((0..30).map(|_| get(&folder, &room)));
        let writes = join_all((0..30).map(|_| request(&folder, "POST", "/rooms").json(&json!({})).send()));
        let others = join_all((0..10).map(|_| request(&folder, "POST", "/identities").json(&json!({})).send()));
        let (reads, writes, others) = tokio::join!(reads, writes, others);
        for answer in reads.iter().chain(&writes).chain(&others) {
            assert!(answer.status.is_success(), "{answer:?}");
        }
    }
    let ended = service.stop();
    assert_eq!(lines(&ended, BEGINS), Vec::<Value>::new());
    database.stop();
}
