//! One private cluster for the whole run, and a database for each test, cloned from a migrated template.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use roomkeeper::app;
use roomkeeper::clock::Clock;
use roomkeeper::config::program_path;
use roomkeeper::service::Context;
use roomkeeper::store::embedded::{Cluster, EmbeddedError, Settings};
use roomkeeper::store::pool;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::Setup;

const TEMPLATE: &str = "template_test";

/// The settings of a cluster in `folder` that gives up durability for speed.
pub fn settings(folder: PathBuf) -> Settings {
    Settings { folder, programs: None, path: program_path(), durable: false }
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
            runtime.block_on(prepare(&cluster));
            cluster
        })
    })
    .await
    .unwrap()
}

/// The folder is kept from run to run. Another run that uses it is waited for.
fn start() -> Cluster {
    let tree = hash_of(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::temp_dir().join(format!("roomkeeper-tests-{tree:x}-{}", nix::unistd::Uid::effective()));
    loop {
        match Cluster::start(&settings(folder.clone())) {
            Ok(cluster) => return cluster,
            Err(EmbeddedError::InUse(_) | EmbeddedError::StillStopping(_)) => {
                std::thread::sleep(Duration::from_millis(200));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Clears what an earlier run left, and makes the template.
async fn prepare(cluster: &Cluster) {
    let mut conn = PgConnection::connect_with(&cluster.connect_options("postgres")).await.unwrap();
    let left: Vec<String> =
        sqlx::query_scalar("SELECT datname FROM pg_database WHERE datname LIKE 'test\\_%' OR datname = $1")
            .bind(TEMPLATE)
            .fetch_all(&mut conn)
            .await
            .unwrap();
    for name in left {
        sqlx::query(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut conn).await.unwrap();
    }
    pool::create_database(&cluster.connect_options("postgres"), TEMPLATE).await.unwrap();
    let template = cluster.connect_options(TEMPLATE);
    pool::migrate(&template).await.unwrap();
    // With the resource and its keys: making an RSA key takes longer than most tests.
    let ctx = Context::new(pool::pool(template), Clock::system(), 1, 0);
    app::prepare(&ctx, &Setup::default().settings).await.unwrap();
    ctx.db.close().await;
}

fn hash_of(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
