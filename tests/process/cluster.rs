//! The private Postgres: each failure mode of private-postgres.md, section 3.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use roomkeeper::store::embedded::{Cluster, EmbeddedError, Settings};
use sqlx::{Connection as _, PgConnection};

use crate::service::{DataDir, Service, command, complaint, get, is_alive, make_room, run};
use crate::wire::KEY;

/// Waits for something that a process does by itself.
fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The keeper's pid: the child of the service that would stop the cluster.
fn keeper_of(data_dir: &DataDir) -> i32 {
    let service = data_dir.endpoint().unwrap()["pid"].as_i64().unwrap();
    let threads = fs::read_dir(format!("/proc/{service}/task")).unwrap().flatten();
    let children = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap());
    let children: Vec<i32> =
        children.flat_map(|pids| pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect();
    let is_keeper = |pid: &&i32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline"));
        line.is_ok_and(|line| line.contains("stop -D"))
    };
    *children.iter().find(is_keeper).expect("a keeper")
}

#[tokio::test]
async fn a_service_that_was_killed_starts_again_at_once_and_has_lost_nothing() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);
    let room = make_room(&data_dir).await;
    let postmaster = data_dir.postmaster().unwrap();

    service.kill();
    let again = Service::start(&data_dir); // while the keeper is still stopping the cluster

    assert_eq!(get(&data_dir, &room).await.status, 200);
    assert_ne!(data_dir.postmaster().unwrap(), postmaster, "a cluster that goes down is not adopted");
    again.stop();
}

#[test]
fn a_killed_service_leaves_no_server_behind() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);
    let postmaster = data_dir.postmaster().unwrap();

    service.kill();

    until("the server ends", || !is_alive(postmaster));
    until("its pid file goes", || data_dir.postmaster().is_none());
}

/// The variables that a process was started with.
fn environment_of(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    String::from_utf8_lossy(&bytes).replace('\0', "\n")
}

/// The postmaster and all that it started.
fn servers_of(data_dir: &DataDir) -> Vec<i32> {
    let cluster = fs::canonicalize(data_dir.join("postgres/data")).unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == cluster))
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .collect()
}

#[test]
fn no_process_that_the_service_starts_is_told_its_secrets() {
    let data_dir = DataDir::new();
    let mut command = command(data_dir.path(), &[]);
    command.env("SOME_SECRET", "s3cret");
    let service = Service::spawn(command);

    let pids: Vec<i32> = servers_of(&data_dir).into_iter().chain([keeper_of(&data_dir)]).collect();

    assert!(pids.len() > 2 && pids.contains(&data_dir.postmaster().unwrap()), "{pids:?}");
    for pid in pids {
        let told = environment_of(pid);
        for secret in [KEY, "ROOMKEEPER_", "s3cret"] {
            assert!(!told.contains(secret), "{pid} was started with {told}");
        }
    }
    service.stop();
}

#[test]
fn two_services_do_not_share_a_folder() {
    let data_dir = DataDir::new();
    let first = Service::start(&data_dir);

    let second = run(command(data_dir.path(), &[]));

    assert_eq!(second.status.code(), Some(1));
    assert!(
        complaint(&second).ends_with("several instances share a database by its URL (--database-url)"),
        "{second:?}"
    );
    assert!(data_dir.endpoint().is_some(), "the first one's file is left alone");
    assert_eq!(first.stop().status.code(), Some(0));
}

#[tokio::test]
async fn a_service_that_was_killed_while_it_made_the_cluster_makes_it_anew() {
    let data_dir = DataDir::new();
    let making = Service::spawn_unready(command(data_dir.path(), &[]));
    until("initdb has begun", || data_dir.join("postgres/data.partial/PG_VERSION").exists());

    making.kill();
    assert!(!data_dir.join("postgres/data").exists());
    let again = Service::start(&data_dir);

    make_room(&data_dir).await;
    assert!(!data_dir.join("postgres/data.partial").exists());
    again.stop();
}

#[tokio::test]
async fn a_server_that_dies_is_started_again() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);
    let room = make_room(&data_dir).await;
    let postmaster = data_dir.postmaster().unwrap();

    kill(Pid::from_raw(postmaster), Signal::SIGKILL).unwrap();

    until("there is another", || data_dir.postmaster().is_some_and(|pid| pid != postmaster));
    let began = Instant::now();
    while get(&data_dir, &room).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(30));
    }
    service.stop();
}

#[tokio::test]
async fn a_server_that_lost_its_keeper_is_used() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);
    let room = make_room(&data_dir).await;
    let postmaster = data_dir.postmaster().unwrap();
    kill(Pid::from_raw(keeper_of(&data_dir)), Signal::SIGKILL).unwrap();
    service.kill();

    let again = Service::start(&data_dir);

    assert_eq!(data_dir.postmaster(), Some(postmaster));
    assert_eq!(get(&data_dir, &room).await.status, 200);
    assert_eq!(again.stop().status.code(), Some(0));
    assert!(!is_alive(postmaster), "it has a keeper again");
}

#[test]
fn a_pid_file_whose_pid_is_somebody_elses_is_not_believed() {
    let data_dir = DataDir::new();
    Service::start(&data_dir).stop();
    let pid_file = data_dir.join("postgres/data/postmaster.pid");
    // As after a loss of power: all of it is there, and the pid is now another process of the same user.
    let mut other = Command::new("sleep");
    if Uid::effective().is_root() {
        other.uid(User::from_name("postgres").unwrap().unwrap().uid.as_raw());
    }
    let mut other = other.arg("600").spawn().unwrap();
    let run = data_dir.join("postgres/run");
    let data = data_dir.join("postgres/data");
    fs::write(&pid_file, format!("{}\n{}\n1\n5432\n{}\n\n", other.id(), data.display(), run.display())).unwrap();

    let service = Service::start(&data_dir);

    assert_ne!(data_dir.postmaster(), Some(other.id().try_into().unwrap()));
    service.stop();
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_cluster_of_a_major_version_that_is_not_installed_is_left_alone() {
    let data_dir = DataDir::new();
    fs::create_dir_all(data_dir.join("postgres/data")).unwrap();
    fs::write(data_dir.join("postgres/data/PG_VERSION"), "9\n").unwrap();

    let ended = run(command(data_dir.path(), &[]));

    assert_eq!(ended.status.code(), Some(1));
    assert!(complaint(&ended).contains("was made by Postgres 9, whose programs are not installed"), "{ended:?}");
    assert!(complaint(&ended).contains("pg_upgrade or pg_dump"));
}

#[test]
fn a_folder_without_the_programs_is_named() {
    let data_dir = DataDir::new();

    let ended = run(command(data_dir.path(), &["--postgres-bin", "/nowhere"]));

    assert_eq!(ended.status.code(), Some(1));
    assert!(complaint(&ended).starts_with("roomkeeper: the private Postgres: /nowhere has no initdb"), "{ended:?}");
}

#[test]
fn without_the_programs_it_says_what_to_run() {
    let settings = Settings {
        folder: DataDir::new().join("pg"),
        programs: None,
        path: Vec::new(),
        environment: Vec::new(),
        durable: true,
    };
    if Path::new("/usr/lib/postgresql").exists() {
        // Debian's are found wherever they are: only the words can be looked at.
        let told = EmbeddedError::NoPrograms.to_string();
        assert!(
            told.contains("apt-get install -y --no-install-recommends postgresql") && told.contains("--database-url")
        );
    } else {
        assert!(matches!(Cluster::start(&settings), Err(EmbeddedError::NoPrograms)));
    }
}

#[test]
fn a_socket_path_that_is_too_long_is_told() {
    let data_dir = DataDir::new();
    let deep = data_dir.join(&"d".repeat(90));

    let ended = run(command(&deep, &[]));

    assert_eq!(ended.status.code(), Some(1));
    assert!(complaint(&ended).contains("bytes long and can have 107: choose a shorter folder"), "{ended:?}");
}

#[test]
fn a_folder_with_a_comma_is_told() {
    let data_dir = DataDir::new();

    let ended = run(command(&data_dir.join("a,b"), &[]));

    assert_eq!(ended.status.code(), Some(1));
    assert!(complaint(&ended).contains("has a comma, at which Postgres would part it"), "{ended:?}");
}

#[test]
fn a_folder_that_the_owner_can_not_reach_is_named() {
    if !Uid::effective().is_root() {
        return; // only root runs the cluster as somebody else
    }
    let data_dir = DataDir::new();
    let closed = data_dir.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();

    let ended = run(command(&closed.join("data"), &[]));

    assert_eq!(ended.status.code(), Some(1));
    let told = format!("can't enter {}: choose another folder with --data-dir", closed.display());
    assert!(complaint(&ended).contains(&told), "{ended:?}");
}

#[test]
fn what_initdb_says_is_passed_on() {
    let data_dir = DataDir::new();
    let bin = data_dir.join("bin");
    fs::create_dir(&bin).unwrap();
    for (name, script) in
        [("initdb", "echo 'could not write: No space left on device' >&2; exit 1"), ("pg_ctl", "exit 1")]
    {
        fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    let ended = run(command(data_dir.path(), &["--postgres-bin", bin.to_str().unwrap()]));

    assert_eq!(ended.status.code(), Some(1));
    assert!(complaint(&ended).ends_with("initdb failed: could not write: No space left on device"), "{ended:?}");
}

#[tokio::test]
async fn it_runs_as_an_ordinary_user() {
    if !Uid::effective().is_root() {
        return; // then every other test shows it
    }
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let data_dir = DataDir::new();
    let binary = data_dir.join("roomkeeper"); // where nobody can reach it
    fs::copy(env!("CARGO_BIN_EXE_roomkeeper"), &binary).unwrap();
    let home = data_dir.join("home");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
    let mut command = Command::new(&binary);
    command
        .env_clear()
        .env("HOME", &home)
        .env("PATH", "/usr/bin:/bin")
        .uid(nobody.uid.as_raw())
        .gid(nobody.gid.as_raw());
    command.args(["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());

    let service = Service::spawn(command);

    let folder = home.join(".local/share/roomkeeper");
    assert!(folder.join("endpoint.json").exists());
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let ended = service.stop();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("accesskey=cm9vbWtlZXBlci1kZXZlbG9wbWVudC1r"), "the development key is shown");
}

#[tokio::test]
async fn the_cluster_is_reached_by_its_owner_alone() {
    let data_dir = DataDir::new();
    let service = Service::start(&data_dir);

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir.join("postgres")), 0o700);
    assert_eq!(mode(&data_dir.join("postgres/run")), 0o700);
    let postmaster = data_dir.postmaster().unwrap();
    let line = fs::read(format!("/proc/{postmaster}/cmdline")).unwrap();
    assert!(String::from_utf8_lossy(&line).contains("listen_addresses="));
    service.stop();
}

#[tokio::test]
async fn the_cluster_alone_can_be_run_for_a_shell() {
    let data_dir = DataDir::new();
    let postgres = Service::spawn(command(data_dir.path(), &["postgres"]));
    let url = postgres.announcement.trim().to_owned();

    let migrated = run(command(data_dir.path(), &["migrate", "--database-url", &url]));
    let options = roomkeeper::store::pool::options_from_url(&url).unwrap();
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let rooms: i64 = sqlx::query_scalar("SELECT count(*) FROM rooms").fetch_one(&mut conn).await.unwrap();

    assert_eq!((migrated.status.code(), rooms), (Some(0), 0), "{migrated:?}");
    assert_eq!(postgres.stop().status.code(), Some(0));
    assert_eq!(data_dir.postmaster(), None);
}

#[tokio::test]
async fn the_cluster_keeps_more_in_memory_than_postgres_would_where_there_is_more() {
    let data_dir = DataDir::new();
    let postgres = Service::spawn(command(data_dir.path(), &["postgres"]));
    let options = roomkeeper::store::pool::options_from_url(postgres.announcement.trim()).unwrap();
    let mut conn = PgConnection::connect_with(&options).await.unwrap();
    let sizes = "SELECT setting::bigint / 128, boot_val::bigint / 128 FROM pg_settings WHERE name = 'shared_buffers'";

    let (mib, default): (i64, i64) = sqlx::query_as(sizes).fetch_one(&mut conn).await.unwrap();

    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    let total_mib = total.trim().trim_end_matches(" kB").parse::<i64>().unwrap() / 1024;
    assert!(mib > default && mib <= (total_mib / 8).max(default), "{mib} of {total_mib}, {default} by default");
    postgres.stop();
}
