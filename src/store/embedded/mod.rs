//! A private Postgres for a service that was given none. Rules and failure modes: private-postgres.md.

mod folder;
mod keeper;
mod memory;
mod programs;

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

use folder::{Folder, Owner};
use keeper::Keeper;
use programs::Programs;

/// How a private cluster is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that holds the cluster, its socket, its log and its locks. Made if it is not there.
    pub folder: PathBuf,
    /// The folder of the Postgres programs, if one was named.
    pub programs: Option<PathBuf>,
    /// Where else to look for the programs.
    pub path: Vec<PathBuf>,
    /// All that the programs have in their environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// False gives up what survives a crash of the machine for speed: for tests.
    pub durable: bool,
}

/// Why a private cluster does not run. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "no Postgres programs found: run `apt-get install -y --no-install-recommends postgresql`, or name a database with --database-url"
    )]
    NoPrograms,
    #[error(
        "running as root needs the user `postgres`, which Debian's package makes: run `apt-get install -y --no-install-recommends postgresql`, or name a database with --database-url"
    )]
    NoUser,
    #[error("{} has no initdb: name the folder of Postgres' programs with --postgres-bin, or none to have it looked for", .0.display())]
    NotPrograms(PathBuf),
    #[error("the user `{user}`, who runs the private Postgres, can't enter {}: choose another folder with --data-dir", .parent.display())]
    NotEnterable { parent: PathBuf, user: String },
    #[error("the socket's path {} is {} bytes long and can have {max}: choose a shorter folder with --data-dir", .path.display(), .path.as_os_str().len())]
    SocketPathTooLong { path: PathBuf, max: usize },
    #[error("the socket's path {} has a comma, at which Postgres would part it: choose another folder with --data-dir", .0.display())]
    SocketPathParts(PathBuf),
    #[error("{} is in use by another roomkeeper: several instances share a database by its URL (--database-url)", .0.display())]
    InUse(PathBuf),
    #[error("the Postgres of an instance that ended is still stopping in {}: try again", .0.display())]
    StillStopping(PathBuf),
    #[error("{} was made by Postgres {made_by}, whose programs are not installed: install them, or move the data with pg_upgrade or pg_dump", .data.display())]
    OtherMajor { data: PathBuf, made_by: String },
    #[error("{program} failed: {output}")]
    Program { program: &'static str, output: String },
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
}

impl EmbeddedError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}

/// The name of the database in the cluster that the service uses.
pub const DATABASE: &str = "roomkeeper";
const SUPERUSER: &str = "postgres";
/// How much of the server's log is kept from earlier runs.
const LOG_KEPT: u64 = 1024 * 1024;
/// How often a supervised cluster is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A running private cluster. It is shut down when this is stopped or dropped, and also when this process dies.
#[derive(Debug)]
pub struct Cluster {
    folder: Folder,
    programs: Programs,
    owner: Owner,
    durable: bool,
    keeper: Mutex<Keeper>,
}

impl Cluster {
    /// Makes the cluster if there is none, and starts it if it does not run. Blocks, for seconds the first time.
    ///
    /// # Errors
    /// Every failure mode of private-postgres.md that has no remedy of its own.
    pub fn start(settings: &Settings) -> Result<Self, EmbeddedError> {
        if let Some(named) = settings.programs.as_ref().filter(|named| !named.join("initdb").is_file()) {
            return Err(EmbeddedError::NotPrograms(named.clone()));
        }
        let owner = Owner::choose(&settings.folder, settings.programs.is_some())?;
        let folder = Folder::claim(&settings.folder, &owner)?;
        let programs = match folder.made_by()? {
            None => Programs::newest(settings)?,
            Some(major) => Programs::of_major(settings, &major)
                .ok_or(EmbeddedError::OtherMajor { data: folder.data(), made_by: major })?,
        };
        if !folder.data().exists() {
            init(&folder, &programs, &owner, settings.durable)?;
        }
        let keeper = Keeper::spawn(&folder, &programs, &owner)?;
        let cluster = Self { folder, programs, owner, durable: settings.durable, keeper: Mutex::new(keeper) };
        cluster.bring_up()?;
        Ok(cluster)
    }

    /// How to connect to `database` in this cluster.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        connect_options(&self.folder.run(), database)
    }

    /// The same as a URL, for psql and other clients of this machine.
    pub fn url(&self, database: &str) -> String {
        let run = self.folder.run();
        let host = percent_encoding::utf8_percent_encode(&run.to_string_lossy(), percent_encoding::NON_ALPHANUMERIC)
            .to_string();
        format!("postgresql:///{database}?host={host}&user={SUPERUSER}")
    }

    /// Starts the server again whenever it is found dead, until `stop` is cancelled.
    pub async fn supervise(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let cluster = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || {
                if cluster.answers() {
                    return Ok(());
                }
                tracing::error!(log = %cluster.folder.log().display(), "the private Postgres is gone: starting it again");
                cluster.bring_up()
            });
            if let Ok(Err(error)) = looked.await {
                tracing::error!(%error, "the private Postgres does not start");
            }
        }
    }

    /// Shuts the server down and waits for it.
    pub fn stop(&self) {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).stop();
    }

    fn bring_up(&self) -> Result<(), EmbeddedError> {
        if self.folder.settle()? && self.answers() {
            tracing::info!(folder = %self.folder.data().display(), "a private Postgres that lost its keeper runs: using it");
            return Ok(());
        }
        rotate(&self.folder.log())?;
        let (run, buffers) = (quoted(&self.folder.run()), memory::shared_buffers());
        let mut options = format!("-k '{run}' -c listen_addresses='' -c shared_buffers={buffers}MB");
        for setting in SERVER_SETTINGS.iter().chain(if self.durable { &[][..] } else { NOT_DURABLE }) {
            options.push_str(" -c ");
            options.push_str(setting);
        }
        let mut command = self.programs.command("pg_ctl", &self.owner);
        command.arg("start").arg("-w").arg("-s").arg("-D").arg(self.folder.data());
        command.arg("-l").arg(self.folder.log()).arg("-o").arg(options);
        command.stdin(self.folder.keeper_lock_for_child()?).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().map_err(EmbeddedError::io("pg_ctl start"))?;
        if status.success() {
            return Ok(());
        }
        Err(EmbeddedError::Program { program: "pg_ctl start", output: last_lines(&self.folder.log()) })
    }

    fn answers(&self) -> bool {
        UnixStream::connect(self.folder.socket()).is_ok()
    }
}

/// How to connect to `database` in the cluster of a folder that another process runs; `None` if none answers.
pub fn running(folder: &Path, database: &str) -> Option<PgConnectOptions> {
    let run = folder.join("run");
    UnixStream::connect(folder::socket_in(&run)).ok()?;
    Some(connect_options(&run, database))
}

fn connect_options(run: &Path, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().socket(run).username(SUPERUSER).database(database)
}

/// What differs from Postgres' own defaults, and why: checkpoints are no news to the owner of a laptop; and each commit
/// flushes the log itself, so the log's writer would only make it wait for a flush of its own.
const SERVER_SETTINGS: &[&str] =
    &["max_connections=100", "log_checkpoints=off", "timezone=UTC", "wal_writer_delay=10s"];
/// Few buffers, as dropping a database looks at all of them.
const NOT_DURABLE: &[&str] =
    &["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=400", "shared_buffers=128MB"];

/// Makes the cluster aside and renames it: one that was killed on the way is never taken for whole.
fn init(folder: &Folder, programs: &Programs, owner: &Owner, durable: bool) -> Result<(), EmbeddedError> {
    let partial = folder.partial();
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(EmbeddedError::io(partial.display().to_string()))?;
    }
    let mut command = programs.command("initdb", owner);
    command.arg("-D").arg(&partial).args(["-U", SUPERUSER]);
    command.args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
    if !durable {
        command.arg("--no-sync");
    }
    // Holding the keeper's lock, an initdb that outlives us is waited for by the next start.
    command.stdin(folder.keeper_lock_for_child()?);
    let output = command.output().map_err(EmbeddedError::io("initdb"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(EmbeddedError::Program { program: "initdb", output: one_line(&words) });
    }
    fs::rename(&partial, folder.data()).map_err(EmbeddedError::io(partial.display().to_string()))
}

/// In `-o`, a shell's single quotes.
fn quoted(path: &Path) -> String {
    path.to_string_lossy().replace('\'', r"'\''")
}

fn rotate(log: &Path) -> Result<(), EmbeddedError> {
    match fs::metadata(log) {
        Ok(meta) if meta.len() > LOG_KEPT => {
            fs::rename(log, log.with_extension("old")).map_err(EmbeddedError::io(log.display().to_string()))
        }
        _ => Ok(()),
    }
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(4).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    format!("{} (from {})", one_line(&lines.join("\n")), log.display())
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
