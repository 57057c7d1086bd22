//! The faults, one after the other.

use std::cell::Cell;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::sleep;

use crate::database::Database;
use crate::ledger::Ledger;
use crate::processes::Instance;

/// How long the load lasts before and after a fault.
const AROUND: Duration = Duration::from_secs(2);
/// How long a state of the database lasts.
const FAULT: Duration = Duration::from_secs(3);

/// Ends every other connection.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";

/// Two instances on a database.
struct Site {
    database: Database,
    instances: Vec<Instance>,
}

impl Site {
    async fn start() -> Self {
        Self::on(Database::start().await).await
    }

    async fn on(database: Database) -> Self {
        let instances = vec![Instance::start(&database.url).await, Instance::start(&database.url).await];
        Self { database, instances }
    }

    /// Has something happen under load, and checks what was written.
    async fn under(&mut self, name: &str, fault: impl AsyncFnOnce(&mut Self)) {
        let (ledger, is_over) = (Ledger::default(), Cell::new(false));
        let addresses: Vec<_> = self.instances.iter().map(|instance| instance.address).collect();
        let happening = async {
            sleep(AROUND).await;
            fault(self).await;
            sleep(AROUND).await;
            is_over.set(true);
        };
        tokio::join!(ledger.load(&addresses, &is_over), happening);
        ledger.conclude(name, addresses[0], &self.database.url).await;
    }

    async fn end(mut self) {
        for instance in &mut self.instances {
            instance.stop().await;
        }
        self.database.stop().await;
    }
}

/// A state of the database that statements begin and end.
async fn state(site: &mut Site, begin: &str, end: &str) {
    site.database.run(begin).await;
    sleep(FAULT).await;
    site.database.run(end).await;
}

async fn kill_instances(site: &mut Site) {
    for round in 0..4 {
        let instance = &mut site.instances[round % 2];
        instance.kill().await;
        instance.start_again().await;
        sleep(Duration::from_millis(500)).await;
    }
}

async fn restart_in_turn(site: &mut Site) {
    for instance in &mut site.instances {
        instance.stop().await;
        instance.start_again().await;
    }
}

async fn restart_database(site: &mut Site) {
    site.database.stop().await;
    sleep(FAULT).await;
    site.database.start_again().await;
}

async fn terminate(site: &mut Site) {
    for _ in 0..15 {
        site.database.run(TERMINATE).await;
        sleep(Duration::from_millis(200)).await;
    }
}

async fn freeze(site: &mut Site) {
    site.database.signal(Signal::SIGSTOP);
    sleep(FAULT).await;
    site.database.signal(Signal::SIGCONT);
}

async fn read_only(site: &mut Site) {
    for statement in ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"] {
        site.database.run(statement).await;
    }
    sleep(FAULT).await;
    for statement in ["ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"] {
        site.database.run(statement).await;
    }
}

async fn refuse_login(site: &mut Site) {
    site.database.run("CREATE ROLE admin SUPERUSER LOGIN").await;
    let url = site.database.url.clone();
    site.database.url = url.replace("user=postgres", "user=admin");
    site.database.run("ALTER ROLE postgres NOLOGIN").await;
    site.database.run(TERMINATE).await;
    sleep(FAULT).await;
    site.database.run("ALTER ROLE postgres LOGIN").await;
    site.database.url = url;
}

/// Its first sweep comes a second after its start, and would find every room over.
async fn join_from_the_future(site: &mut Site) {
    let mut ahead = Instance::start_ahead(&site.database.url, "+300d").await;
    sleep(FAULT).await;
    let log = ahead.stop().await;
    assert!(log.contains("the sweeper refuses"), "{log}");
}

async fn fill_disk(site: &mut Site) {
    let filled = site.database.fill_disk();
    sleep(FAULT).await;
    drop(filled);
}

#[tokio::test]
async fn the_service_is_killed() {
    let mut site = Site::start().await;
    site.under("kill -9 of the service, 4 times", kill_instances).await;
    site.end().await;
}

#[tokio::test]
async fn the_database_is_killed() {
    let mut site = Site::start().await;
    site.under("kill -9 of Postgres", async |site| site.database.kill().await).await;
    site.end().await;
}

#[tokio::test]
#[ignore = "a part of script/faults"]
async fn all_others() {
    let mut site = Site::start().await;
    site.under("restart of the instances in turn", restart_in_turn).await;
    site.under("Postgres stopped for 3 s", restart_database).await;
    site.under("Postgres frozen for 3 s", freeze).await;
    site.under("one instance frozen for 3 s", async |site| {
        site.instances[0].signal(Signal::SIGSTOP);
        sleep(FAULT).await;
        site.instances[0].signal(Signal::SIGCONT);
    })
    .await;
    site.under("connections terminated, 15 times", terminate).await;
    site.under("tables locked for 3 s", async |site| {
        site.database.run("BEGIN; LOCK TABLE rooms, participants; SELECT pg_sleep(3); COMMIT").await;
    })
    .await;
    site.under("a flush takes 0.5 s more, for 3 s", async |site| {
        site.database.disk.slow_by(Duration::from_millis(500)).unwrap();
        sleep(FAULT).await;
        site.database.disk.slow_by(Duration::ZERO).unwrap();
    })
    .await;
    site.under("INSERT revoked for 3 s", async |site| {
        // The owner is a superuser, whom nothing is revoked from: a trigger refuses as a missing privilege does.
        let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                      $$ BEGIN RAISE EXCEPTION 'permission denied' USING ERRCODE = '42501'; END $$; \
                      CREATE TRIGGER refuse BEFORE INSERT ON rooms FOR EACH STATEMENT EXECUTE FUNCTION refuse()";
        state(site, refuse, "DROP TRIGGER refuse ON rooms; DROP FUNCTION refuse").await;
    })
    .await;
    site.under("Postgres only reads for 3 s", read_only).await;
    site.under("login refused for 3 s", refuse_login).await;
    site.under("an instance joins whose clock is 300 days ahead", join_from_the_future).await;
    site.under("as many connections as the server may have, for 3 s", async |site| {
        site.database.run("ALTER SYSTEM SET max_connections = 12").await;
        restart_database(site).await;
        sleep(FAULT).await;
        site.database.run("ALTER SYSTEM RESET max_connections").await;
        restart_database(site).await;
    })
    .await;
    site.end().await;
}

#[tokio::test]
#[ignore = "a part of script/faults, which makes a small disk as root"]
async fn the_disk_is_full() {
    let Some(database) = Database::start_on_small_disk().await else {
        return println!("| the disk is full for 3 s: not done, as no disk can be mounted | | | | | | | |");
    };
    let mut site = Site::on(database).await;
    site.under("the disk is full for 3 s", fill_disk).await;
    site.end().await;
}
