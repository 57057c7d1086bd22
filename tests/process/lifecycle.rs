//! How a service starts, tells that it has, and ends.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nix::sys::signal::Signal;
use rstest::rstest;

use crate::service::{DataDir, Service, command, complaint, get, is_alive, make_room, request, run};
use crate::wire::{Answer, KEY, authorization, hash, http_date, sign};

#[tokio::test]
async fn a_ready_service_says_how_it_is_reached() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);

    let endpoint = data_dir.endpoint().unwrap();
    let http = endpoint["http"].as_str().unwrap().to_owned();
    assert_eq!(
        endpoint,
        serde_json::json!({
            "http": http,
            "https": null,
            "accessKey": KEY,
            "connectionString": null,
            "httpConnectionString": format!("endpoint={http}/;accesskey={KEY}"),
            "caFile": null,
            "ablyKey": format!("dev.primary:{KEY}"),
            "pid": endpoint["pid"],
        })
    );
    let mode = std::fs::metadata(data_dir.join("endpoint.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(get(&data_dir, "/health/ready").await.status, 200);
    assert!(service.announcement.contains("is ready"));

    let ended = service.stop();
    assert!(ended.stdout.contains(&http));
    assert!(!format!("{ended:?}").contains(KEY), "a key that is a secret is not shown");
}

#[rstest]
#[case(Signal::SIGTERM)]
#[case(Signal::SIGINT)]
#[tokio::test]
async fn a_signal_ends_it_cleanly_with_its_database(#[case] signal: Signal) {
    let data_dir = DataDir::new();
    let mut service = Service::start(&data_dir);
    let room = make_room(&data_dir).await;
    let postmaster = data_dir.postmaster().unwrap();

    service.signal(signal);
    let ended = service.wait();

    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(data_dir.endpoint(), None);
    assert_eq!(data_dir.postmaster(), None);
    assert!(!is_alive(postmaster));

    let again = Service::start(&data_dir);
    assert_eq!(get(&data_dir, &room).await.status, 200);
    again.stop();
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_end() {
    let data_dir = DataDir::new();
    let mut service = Service::start(&data_dir);
    let http = data_dir.endpoint().unwrap()["http"].as_str().unwrap().to_owned();
    let host = http.strip_prefix("http://").unwrap();
    let (date, body) = (http_date(roomkeeper::clock::Clock::system().now()), "{}");
    let target = "/rooms?api-version=2025-03-13";
    let signature = sign(KEY, &format!("POST\n{target}\n{date};{host};{}", hash(body.as_bytes())));

    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nx-ms-date: {date}\r\nx-ms-content-sha256: {}\r\nAuthorization: {}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n{{",
        hash(body.as_bytes()),
        authorization(&signature)
    )
    .unwrap();
    // It says «go on» once it has the request in hand.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    service.signal(Signal::SIGTERM);
    // From here on it takes no new connection.
    while TcpStream::connect(host).is_ok() {
        std::thread::yield_now();
    }
    assert!(service.is_running());
    stream.write_all(b"}").unwrap();

    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(Answer::read(&answer).status, 201);
    assert_eq!(service.wait().status.code(), Some(0));
}

#[test]
fn a_client_that_keeps_its_connection_does_not_delay_the_end() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);
    let http = data_dir.endpoint().unwrap()["http"].as_str().unwrap().to_owned();
    let mut stream = TcpStream::connect(http.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).unwrap();

    // A test of speed only in that it would otherwise take the 30 s of the drain.
    let began = std::time::Instant::now();
    assert_eq!(service.stop().status.code(), Some(0));
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_made() {
    let data_dir = DataDir::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let ended = run(command(data_dir.path(), &["--listen", &address]));

    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(complaint(&ended).starts_with(&format!("roomkeeper: --listen {address}: Address already in use")));
    assert!(!data_dir.join("postgres").exists());
}

#[test]
fn a_database_that_is_not_there_ends_it_with_1() {
    let data_dir = DataDir::new();

    let url = "postgres://nobody:s3cret@127.0.0.1:1/rooms";
    let ended = run(command(data_dir.path(), &["--database-url", url]));

    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(complaint(&ended).starts_with("roomkeeper: connecting to the database: "));
    assert!(!ended.stderr.contains("s3cret"));
    assert_eq!(data_dir.endpoint(), None);
}

/// A database that takes connections and says nothing.
#[test]
fn a_signal_ends_it_also_while_it_waits_for_its_database() {
    let data_dir = DataDir::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://nobody@{}/rooms", silent.local_addr().unwrap());
    let mut service = Service::spawn_unready(command(data_dir.path(), &["--database-url", &url]));
    let _connection = silent.accept().unwrap();

    service.signal(Signal::SIGTERM);

    let ended = service.wait();
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(data_dir.endpoint(), None);
}

#[test]
fn a_database_that_never_answers_ends_it_with_1() {
    let data_dir = DataDir::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://nobody@{}/rooms", silent.local_addr().unwrap());

    let ended = run(command(data_dir.path(), &["--database-url", &url]));

    assert_eq!(ended.status.code(), Some(1));
    assert!(complaint(&ended).starts_with("roomkeeper: connecting to the database: "), "{ended:?}");
}

#[test]
fn the_version_is_told() {
    let data_dir = DataDir::new();

    let ended = run(command(data_dir.path(), &["version"]));

    assert_eq!(
        (ended.status.code(), ended.stdout.as_str()),
        (Some(0), concat!("roomkeeper ", env!("CARGO_PKG_VERSION"), "\n"))
    );
}

#[tokio::test]
async fn logs_go_to_stderr_as_json_and_tell_why_a_request_was_denied() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);

    request(&data_dir, "GET", "/rooms").key("AAAA").send().await;
    let ended = service.stop();

    let mut lines = ended.stderr.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let denied = lines.find(|line| line["message"] == "denied").unwrap();
    assert_eq!(denied["reason"], "the signature fits no key of this service, for no form of this request");
    assert_eq!(denied["span"]["path"], "/rooms");
    assert!(denied["span"]["id"].is_string());
}

#[tokio::test]
async fn serve_may_be_named_and_a_flag_wins_over_the_environment() {
    let data_dir = DataDir::new();
    let mut command: Command = command(data_dir.path(), &["serve", "--max-participants", "1"]);
    command.env("ROOMKEEPER_MAX_PARTICIPANTS", "7");
    let service = Service::spawn(command);

    let user = |n: char| format!("8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-00000000000{n}");
    let body = serde_json::json!({ "participants": { user('a'): {}, user('b'): {} } });
    let answer = request(&data_dir, "POST", "/rooms").json(&body).send().await;

    assert_eq!(answer.details(), [("$.participants", "A room has at most 1 participants.")]);
    service.stop();
}

#[tokio::test]
async fn what_is_over_is_swept_by_itself_and_by_command() {
    let postgres_dir = DataDir::new();
    let postgres = Service::spawn(command(postgres_dir.path(), &["postgres"]));
    let url = postgres.announcement.trim().to_owned();
    let data_dir = DataDir::new();
    let on = |args: &[&str]| command(data_dir.path(), &[args, &["--database-url", &url]].concat());
    let service = Service::spawn(on(&["--sweep-interval", "off"]));
    let rooms = [make_room(&data_dir).await, make_room(&data_dir).await];
    let soon = roomkeeper::clock::Clock::system().now() + chrono::TimeDelta::milliseconds(300);
    let from = soon - chrono::TimeDelta::hours(1);
    let window = serde_json::json!({ "validFrom": from.to_rfc3339(), "validUntil": soon.to_rfc3339() });
    for room in &rooms {
        assert_eq!(request(&data_dir, "PATCH", room).json(&window).send().await.status, 200);
    }
    while roomkeeper::clock::Clock::system().now() <= soon {
        std::thread::yield_now();
    }

    let told = |args: &[&str]| run(on(&[&["sweep"], args].concat())).stdout;
    assert_eq!(
        told(&["--dry-run"]),
        "would delete 0 rooms, 0 remembered answers and 0 old signing keys\n",
        "within the grace of a week"
    );
    assert_eq!(
        told(&["--dry-run", "--sweep-grace", "0s"]),
        "would delete 2 rooms, 0 remembered answers and 0 old signing keys\n"
    );
    assert_eq!(get(&data_dir, &rooms[0]).await.status, 200);
    assert_eq!(told(&["--sweep-grace", "0s"]), "deleted 2 rooms, 0 remembered answers and 0 old signing keys\n");
    assert_eq!(get(&data_dir, &rooms[0]).await.status, 404);

    let room = make_room(&data_dir).await;
    let now = roomkeeper::clock::Clock::system().now() + chrono::TimeDelta::milliseconds(300);
    let window = serde_json::json!({ "validFrom": from.to_rfc3339(), "validUntil": now.to_rfc3339() });
    assert_eq!(request(&data_dir, "PATCH", &room).json(&window).send().await.status, 200);
    service.stop();
    let sweeping = Service::spawn(on(&["--sweep-interval", "100ms", "--sweep-grace", "0s"]));
    while get(&data_dir, &room).await.status != 404 {}
    sweeping.stop();
    postgres.stop();
}

#[tokio::test]
async fn commands_work_on_the_private_postgres_of_a_service_that_runs() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);
    let room = make_room(&data_dir).await;

    let swept = run(command(data_dir.path(), &["sweep"]));
    let migrated = run(command(data_dir.path(), &["migrate"]));
    let rotated = run(command(data_dir.path(), &["rotate-signing-key"]));

    assert_eq!(swept.stdout, "deleted 0 rooms, 0 remembered answers and 0 old signing keys\n", "{swept:?}");
    assert_eq!(migrated.status.code(), Some(0), "{migrated:?}");
    assert!(rotated.stdout.contains("earlier ones stay good until they expire"), "{rotated:?}");
    assert_eq!(get(&data_dir, &room).await.status, 200);
    assert_eq!(service.stop().status.code(), Some(0));
}

#[test]
fn a_signal_at_any_moment_of_the_start_ends_it_with_0() {
    let data_dir = DataDir::new();
    Service::start(&data_dir).stop();

    for millis in [20, 60, 100, 130, 150, 170, 190, 220] {
        let mut service = Service::spawn_unready(command(data_dir.path(), &[]));
        // There is no event between «the signal is heard» and «ready»; each length of the wait meets another moment.
        std::thread::sleep(std::time::Duration::from_millis(millis));
        service.signal(Signal::SIGTERM);
        let ended = service.wait();
        let before_it_listened = ended.status.code().is_none() && ended.stderr.is_empty();
        assert!(ended.status.code() == Some(0) || before_it_listened, "after {millis} ms: {ended:?}");
    }
}

#[tokio::test]
async fn a_key_that_was_broken_into_lines_is_whole_again() {
    let data_dir = DataDir::new();
    let mut command = command(data_dir.path(), &[]);
    command.env("ROOMKEEPER_ACCESS_KEY", format!("{}\n{}\n", &KEY[..20], &KEY[20..]));

    let service = Service::spawn(command);

    assert_eq!(get(&data_dir, "/rooms").await.status, 200);
    service.stop();
}

#[tokio::test]
async fn that_nobody_reads_what_it_says_does_not_end_it() {
    let data_dir = DataDir::new();
    let mut child = command(data_dir.path(), &[]).stderr(std::process::Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());

    while data_dir.endpoint().is_none() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }

    make_room(&data_dir).await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_list_that_is_set_to_nothing_is_not_set() {
    let data_dir = DataDir::new();
    let mut command = command(data_dir.path(), &[]);
    command.env("ROOMKEEPER_PUBLIC_HOST", "").env("ROOMKEEPER_CORS_ORIGIN", "");

    assert_eq!(Service::spawn(command).stop().status.code(), Some(0));
}
