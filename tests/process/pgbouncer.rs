//! The service behind the real PgBouncer.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::service::{DataDir, Service, command, complaint, get, make_room, postgres, run};

struct PgBouncer {
    process: Child,
    url: String,
}

impl PgBouncer {
    /// Starts it in front of the database that `url` names, which has a Unix socket.
    fn start(folder: &DataDir, url: &str, mode: &str, more: &str) -> Self {
        let socket = url.split("host=").nth(1).unwrap().split('&').next().unwrap().replace("%2F", "/");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.join("pgbouncer.ini");
        let text = format!(
            "[databases]\nroomkeeper = host={socket} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n{more}\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("/usr/sbin/pgbouncer");
        if nix::unistd::Uid::effective().is_root() {
            command.args(["--user", "postgres"]); // it does not run as root
        }
        let log = fs::File::create(folder.join("pgbouncer.log")).unwrap();
        let process = command.arg(&config).stdout(Stdio::null()).stderr(log).spawn().expect("script/test installs it");
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(folder.join("pgbouncer.log")).unwrap();
            assert!(began.elapsed() < Duration::from_secs(10), "{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, url: format!("postgres://postgres@127.0.0.1:{port}/roomkeeper") }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn settings_that_a_pooler_drops_are_named_and_rooms_are_served() {
    let (_data, database, url) = postgres();
    let folder = DataDir::new();
    let pooler = PgBouncer::start(&folder, &url, "session", "ignore_startup_parameters = options,extra_float_digits");

    let service = Service::spawn(command(folder.path(), &["--database-url", &pooler.url]));
    let room = make_room(&folder).await;
    assert_eq!(get(&folder, &room).await.status, 200);
    let ended = service.stop();

    let warning = ended.stderr.lines().find(|line| line.contains("does not have the settings")).expect("a warning");
    let missing = "statement_timeout, lock_timeout, plan_cache_mode, enable_seqscan, jit";
    assert!(warning.contains(&format!("\"missing\":\"{missing}\"")), "{warning}");
    drop(pooler);
    database.stop();
}

#[tokio::test]
async fn a_pooler_that_shares_sessions_is_refused_with_what_to_do() {
    let (_data, database, url) = postgres();
    let folder = DataDir::new();
    let pooler =
        PgBouncer::start(&folder, &url, "transaction", "ignore_startup_parameters = options,extra_float_digits");

    let ended = run(command(folder.path(), &["--database-url", &pooler.url]));

    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(complaint(&ended).contains("use pool_mode = session"), "{ended:?}");
    drop(pooler);
    database.stop();
}
