//! One private cluster for the whole run, and a database for each test, cloned from a migrated template.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use roomkeeper::app;
use roomkeeper::clock::Clock;
use roomkeeper::config::{program_environment, program_path};
use roomkeeper::service::Context;
use roomkeeper::service::keys::Given;
use roomkeeper::store::embedded::{Cluster, EmbeddedError, Settings};
use roomkeeper::store::{pool, schema};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{KEY, NOW};

const TEMPLATE: &str = "template_test";

/// The settings of a cluster in `folder` that gives up durability for speed.
pub fn settings(folder: PathBuf) -> Settings {
    Settings { folder, programs: None, path: program_path(), environment: program_environment(), durable: false }
}

/// An empty database with our schema.
pub async fn database() -> PgConnectOptions {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let cluster = cluster().await;
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut conn = PgConnection::connect_with(&cluster.connect_options("postgres")).await.unwrap();
    let clone = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
    sqlx::query(AssertSqlSafe(clone)).execute(&mut conn).await.unwrap();
    cluster.connect_options(&name)
}

async fn cluster() -> &'static Cluster {
    // A runtime of its own: the first test's ends with that test.
    tokio::task::spawn_blocking(|| {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| {
            let cluster = start();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(make_template(&cluster));
            cluster
        })
    })
    .await
    .unwrap()
}

/// A new cluster in a folder that is this tree's: to make one is quicker than to drop the databases
/// that the last run left. Another run that uses the folder is waited for.
fn start() -> Cluster {
    let tree = hash_of(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::temp_dir().join(format!("roomkeeper-tests-{tree:x}-{}", nix::unistd::Uid::effective()));
    let start = || match Cluster::start(&settings(folder.clone())) {
        Ok(cluster) => Some(cluster),
        Err(EmbeddedError::InUse(_) | EmbeddedError::StillStopping(_)) => {
            std::thread::sleep(Duration::from_millis(200));
            None
        }
        Err(error) => panic!("{error}"),
    };
    let data = folder.join("data");
    if data.exists() {
        let old = std::iter::repeat_with(start).flatten().next().unwrap();
        old.stop();
        std::fs::remove_dir_all(data).unwrap();
        drop(old); // its locks, too
    }
    std::iter::repeat_with(start).flatten().next().unwrap()
}

async fn make_template(cluster: &Cluster) {
    pool::create_database(&cluster.connect_options("postgres"), TEMPLATE).await.unwrap();
    let template = cluster.connect_options(TEMPLATE);
    schema::migrate(&template).await.unwrap();
    // With the resource and its keys: making an RSA key takes longer than most tests.
    let yesterday = NOW.parse::<DateTime<Utc>>().unwrap() - TimeDelta::days(1);
    let ctx = Context::new(pool::pool(template), Clock::standing(yesterday), 1, 0);
    app::keys::prepare(&ctx, Given { primary: KEY, secondary: None, replaces: false }, true).await.unwrap();
    ctx.db.close();
}

fn hash_of(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
