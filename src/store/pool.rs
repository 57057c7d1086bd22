//! The connections to the database, and its schema.

use std::borrow::Cow;
use std::cell::Cell;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
pub use sqlx::postgres::PgConnectOptions as Options;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::{Instant, sleep, timeout};

use super::sqlstate::TOO_MANY_CONNECTIONS;
use super::{Cause, StoreError};

/// The most connections of one process.
const CONNECTIONS: usize = 20;
/// The fewest of a thread that has some of its own: what is held up by somebody's lock leaves some to the others.
const FEWEST: usize = 4;
/// A connection that rested longer is asked whether it still lives, before a request is sent on it.
const RESTED: Duration = Duration::from_secs(1);
/// How long its answer may take. Then another connection is tried, within the same wait.
const ECHO: Duration = Duration::from_millis(300);
/// How long a database may take to let us in when the service starts.
const CONNECT: Duration = Duration::from_secs(10);
/// How much longer than two statements a request may wait. Less would refuse more, and a refusal costs half of the
/// processor time of an answer.
pub(super) const BURST: Duration = Duration::from_millis(100);
/// How often a transaction that lost against another is run.
const ATTEMPTS: usize = 5;
/// A statement that is still running then was given up by its request long ago.
const STATEMENT_TIMEOUT: &str = "5s";
/// A statement that waits longer for a lock fails. It is shorter than the patience of requests, so that Postgres reports a
/// lock as such.
const LOCK_TIMEOUT: &str = "1500ms";
/// How long no connection is made after Postgres refused one because a limit of connections was reached.
const FULL: Duration = Duration::from_secs(1);
/// How often idle connections, of any thread, are looked for meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// Why a URL can't be used.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    #[error("not a Postgres URL")] // sqlx's own words may repeat the password
    Malformed,
    #[error(
        "one host is supported, and no target_session_attrs: name the primary by an address that follows it, such as that of a proxy"
    )]
    SeveralHosts,
}

/// Reads a Postgres URL.
pub fn options_from_url(url: &str) -> Result<Options, UrlError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(UrlError::Malformed);
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let authority = base.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let names_several = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
        name == "target_session_attrs" || matches!(&*name, "host" | "port" | "hostaddr") && value.contains(',')
    };
    if hosts.contains(',') || form_urlencoded::parse(query.as_bytes()).any(names_several) {
        return Err(UrlError::SeveralHosts);
    }
    Options::from_str(url).map_err(|_| UrlError::Malformed)
}

/// Connections that are kept. A thread may have some of its own: what the database answers then wakes no other thread.
#[derive(Debug, Clone)]
pub struct Pool {
    own: managed::Pool<Connections>,
    /// How long operations took lately, in microseconds.
    usual: Arc<AtomicU64>,
    /// Until when no further connection is made.
    full_until: Arc<Mutex<Option<Instant>>>,
    /// Those of all threads.
    all: Arc<Mutex<Vec<managed::Pool<Connections>>>>,
    /// Shared: every client of live rooms has a pool at hand.
    options: Arc<Options>,
}

/// How connections are made, and looked at again.
#[derive(Debug)]
struct Connections(Options);

impl managed::Manager for Connections {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.0).await
    }

    async fn recycle(&self, conn: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.last_used() <= RESTED {
            return Ok(());
        }
        match timeout(ECHO, conn.ping()).await {
            Ok(answered) => answered.map_err(RecycleError::Backend),
            Err(_) => Err(RecycleError::message("it went silent")),
        }
    }
}

/// What the connections of the pool set.
pub(super) const SETTINGS: [(&str, &str); 5] = [
    ("statement_timeout", STATEMENT_TIMEOUT),
    ("lock_timeout", LOCK_TIMEOUT),
    // One plan for each statement: otherwise a batch is planned anew for each number of requests in it.
    ("plan_cache_mode", "force_generic_plan"),
    // The plan may be made while the tables are empty, when a sequential scan seems cheapest.
    ("enable_seqscan", "off"),
    ("jit", "off"), // that setting raises the estimated cost, for which compiling would seem worthwhile
];

/// The options of the pool's connections.
pub(super) fn with_settings(options: Options) -> Options {
    options.application_name("roomkeeper").options(SETTINGS)
}

/// The pool that the service works with. It connects when it is first asked to.
pub fn pool(options: Options) -> Pool {
    let options = with_settings(options);
    let own = connections(&options, CONNECTIONS);
    Pool {
        all: Arc::new(Mutex::new(vec![own.clone()])),
        own,
        usual: Arc::default(),
        full_until: Arc::default(),
        options: Arc::new(options),
    }
}

fn connections(options: &Options, most: usize) -> managed::Pool<Connections> {
    let pool = managed::Pool::builder(Connections(options.clone())).max_size(most);
    // A few that are busy, and not all a little.
    pool.queue_mode(QueueMode::Lifo).build().unwrap_or_else(|_| unreachable!("it is given no time limits"))
}

impl Pool {
    /// Connections of its own for one of so many threads, which have them all among them.
    pub fn for_one_of(&self, threads: usize) -> Self {
        let own = connections(&self.options, (CONNECTIONS / threads.max(1)).max(FEWEST));
        self.lock_all().push(own.clone());
        Self { own, usual: Arc::default(), full_until: Arc::default(), ..self.clone() }
    }

    /// How to connect.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Closes the connections of all threads; those in use, when they are given back.
    pub fn close(&self) {
        self.lock_all().iter().for_each(managed::Pool::close);
    }
}

/// Makes a database unless it is there.
pub async fn create_database(maintenance: &Options, name: &'static str) -> Result<(), StoreError> {
    let mut conn = connect(maintenance).await?;
    let there = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(name).fetch_optional(&mut conn).await?;
    if there.is_none() {
        // DDL takes no parameters; the name is a constant of ours.
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE \"{name}\""))).execute(&mut conn).await?;
    }
    conn.close().await?;
    Ok(())
}

fn is_too_many(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|reported| reported.code().as_deref() == Some(TOO_MANY_CONNECTIONS))
}

/// One connection, without the settings of the pool.
pub(super) async fn connect(options: &Options) -> Result<PgConnection, sqlx::Error> {
    timeout(CONNECT, PgConnection::connect_with(options)).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// A connection in use. Dropped, as an operation that was given up leaves it, it is closed: nobody knows when, or
/// whether, its answer comes. [`Taken::give_back`] returns one that is done.
pub struct Taken(Option<Object<Connections>>);

impl Pool {
    /// Takes a connection as soon as there is one; the caller limits the wait. If Postgres lets this service have no
    /// further connections, it waits for one of those that it has, whichever thread they belong to.
    ///
    /// # Errors
    /// No connection can be made, and the service has none.
    pub async fn take(&self) -> Result<Taken, StoreError> {
        loop {
            let pool = if !self.is_full() {
                self.own.clone()
            } else if let Some(pool) = self.with_idle() {
                pool
            } else {
                sleep(LOOK).await;
                continue;
            };
            match pool.get().await {
                Ok(taken) => return Ok(Taken(Some(taken))),
                Err(PoolError::Backend(error)) if is_too_many(&error) && self.has_any() => {
                    *self.lock_full() = Some(Instant::now() + FULL);
                }
                Err(PoolError::Backend(error)) => return Err(error.into()),
                Err(_) => return Err(sqlx::Error::PoolClosed.into()),
            }
        }
    }

    fn is_full(&self) -> bool {
        let mut full_until = self.lock_full();
        if full_until.is_some_and(|until| until <= Instant::now()) {
            *full_until = None;
        }
        full_until.is_some()
    }

    fn lock_full(&self) -> MutexGuard<'_, Option<Instant>> {
        self.full_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections among which one is idle, this thread's before those of others.
    fn with_idle(&self) -> Option<managed::Pool<Connections>> {
        let is_idle = |pool: &&managed::Pool<Connections>| pool.status().available > 0;
        let all = self.lock_all();
        Some(&self.own).filter(is_idle).or_else(|| all.iter().find(is_idle)).cloned()
    }

    fn has_any(&self) -> bool {
        self.lock_all().iter().any(|pool| pool.status().size > 0)
    }

    fn lock_all(&self) -> MutexGuard<'_, Vec<managed::Pool<Connections>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an operation would wait too long for a connection: longer than `patience` with its own time, or behind
    /// others that wait, for more than a burst is worth.
    pub fn is_overloaded(&self, patience: Duration) -> bool {
        let status = self.own.status();
        if status.available > 0 || status.size < status.max_size {
            return false;
        }
        let usual = Duration::from_micros(self.usual.load(Ordering::Relaxed));
        let rounds = status.waiting / status.max_size.max(1) + 1;
        let wait = usual * u32::try_from(rounds + 1).unwrap_or(u32::MAX).min(1_000);
        wait > if rounds == 1 { patience } else { patience.min(2 * usual + BURST) }
    }

    /// Runs `operation` on a connection, again if it lost against another transaction. It is given up after `patience`.
    ///
    /// # Errors
    /// `Overloaded` at once if it would wait too long for a connection.
    pub async fn run<T>(
        &self,
        patience: Duration,
        operation: impl AsyncFn(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.is_overloaded(patience) {
            return Err(StoreError::Overloaded);
        }
        let is_connected = Cell::new(false);
        let done = timeout(patience, async {
            let taken = self.take().await?;
            is_connected.set(true);
            let began = Instant::now();
            let done = taken.run(operation).await;
            self.took(began.elapsed());
            done
        });
        let done = done.await;
        if done.is_err() {
            self.took(patience);
        }
        let cause = if is_connected.get() { Cause::SlowStatement } else { Cause::NoConnection };
        done.unwrap_or_else(|_| Err(cause.into()))
    }
}

impl Pool {
    fn took(&self, time: Duration) {
        let before = self.usual.load(Ordering::Relaxed);
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.usual.store(before.midpoint(time), Ordering::Relaxed);
    }
}

impl Taken {
    /// The connection.
    pub fn conn(&mut self) -> Result<&mut PgConnection, StoreError> {
        // It is there until it is given back, which takes it away.
        self.0.as_deref_mut().ok_or_else(|| sqlx::Error::PoolClosed.into())
    }

    /// Runs `operation`, again if it lost against another transaction, and gives the connection back.
    pub async fn run<T>(
        mut self,
        operation: impl AsyncFn(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut done = operation(self.conn()?).await;
        for _ in 1..ATTEMPTS {
            let Err(StoreError::Conflict(error)) = &done else { break };
            tracing::debug!(%error, "running it again");
            done = operation(self.conn()?).await;
        }
        if done.is_ok() {
            self.give_back();
        }
        done
    }

    /// Returns it for others to use.
    pub fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one_host("postgres://user:a,b@db.example:5432/rooms?sslmode=require", None)]
    #[case::a_socket("postgresql:///rooms?host=/run/postgresql&user=postgres", None)]
    #[case::another_scheme("mysql://db.example/rooms", Some("not a Postgres URL"))]
    #[case::two_hosts("postgres://one.example:5432,two.example/rooms", Some("one host"))]
    #[case::two_hosts_in_the_query("postgres:///rooms?host=one.example,two.example", Some("one host"))]
    #[case::attributes("postgres://db.example/rooms?target_session_attrs=read-write", Some("one host"))]
    fn a_url_names_one_host(#[case] url: &str, #[case] refusal: Option<&str>) {
        let refused = options_from_url(url).err().map(|error| error.to_string());
        match refusal {
            None => assert_eq!(refused, None),
            Some(refusal) => assert!(refused.as_ref().is_some_and(|told| told.starts_with(refusal)), "{refused:?}"),
        }
    }
}
