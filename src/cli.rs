//! The commands, and how the process starts and ends (design, section 1).

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use chrono::TimeDelta;
use rand::RngExt as _;
use secrecy::ExposeSecret as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::acs::PublicHost;
use crate::app::{self, Listeners, Settings};
use crate::auth::keyring;
use crate::clock::Clock;
use crate::config::{
    Cli, Command, ConfigError, DEVELOPMENT_KEY, DatabaseArgs, FolderArgs, GraceArgs, LogArgs, LogFormat, MigrateArgs,
    PostgresArgs, ServeArgs, SweepArgs, TlsArgs, program_path,
};
use crate::endpoint::{self, Endpoint};
use crate::jobs::sweeper;
use crate::service::start::DEFAULT_RESOURCE;
use crate::service::{self, Context};
use crate::store::embedded::{self, Cluster};
use crate::store::pool;
use crate::{telemetry, tls};

/// Runs the command that `args` name and tells how the process ends: 0 done, 1 failed, 2 wrongly called.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::read(args) {
        Ok(cli) => cli,
        Err(told) if !told.use_stderr() => {
            print!("{told}");
            return ExitCode::SUCCESS;
        }
        Err(told) => return wrongly_called(&told),
    };
    let done = app::block_on(async {
        match cli.command {
            None => serve(cli.serve).await,
            Some(Command::Serve(args)) => serve(*args).await,
            Some(Command::Migrate(args)) => migrate(args).await,
            Some(Command::Sweep(args)) => sweep(args).await,
            Some(Command::Postgres(args)) => postgres(args).await,
            Some(Command::Version) => {
                println!("roomkeeper {}", env!("CARGO_PKG_VERSION"));
                Ok(())
            }
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = if error.is::<ConfigError>() { 2 } else { 1 };
            eprintln!("roomkeeper: {}", on_one_line(&format!("{error:#}")));
            ExitCode::from(code)
        }
    }
}

/// clap's message without its usage and hints.
fn wrongly_called(told: &clap::Error) -> ExitCode {
    let text = told.to_string();
    let message: Vec<&str> = text.lines().take_while(|line| !line.starts_with("Usage:")).collect();
    let message = on_one_line(&message.join("\n"));
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let message = message.split(" For more information").next().unwrap_or(message);
    eprintln!("roomkeeper: {message} (see roomkeeper --help)");
    ExitCode::from(2)
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let settings = settings(&args)?;
    let data_dir = data_dir(&args.database.folders)?;
    start_log(&args.log)?;
    let stop = stop_on_signal()?;
    let clock = Clock::system();

    // A port that is taken is told before a database is made.
    let http = bind(args.listen, "--listen")?;
    let https = args.tls.tls_listen.0.map(|address| bind(address, "--tls-listen")).transpose()?;
    let https = https
        .map(|listener| Ok::<_, anyhow::Error>((listener, certificate(&args.tls, &data_dir, &clock)?)))
        .transpose()?;
    let addresses = (http.local_addr()?, https.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?);

    let database = Database::open(&args.database, &data_dir).await?;
    let _claim = claim(&data_dir)?;
    let _ = fs::remove_file(endpoint::path(&data_dir)); // of an instance that was killed
    if !args.no_migrate {
        database.migrate().await?;
    }
    let supervision = database.supervise();
    let ctx = Context::new(pool::pool(database.options.clone()), clock, args.max_participants, rand::rng().random());
    let acs = app::prepare(&ctx, &settings).await?;
    let db = ctx.db.clone();
    let jobs = CancellationToken::new();
    let sweeping = args.sweep_interval.0.map(|interval| {
        tokio::task::spawn_local(sweeper::run(ctx.clone(), interval, grace(&args.grace), jobs.clone()))
    });
    let server = app::serve(ctx, acs, &settings, Listeners { http, https }, stop)?;
    let server = tokio::task::spawn_local(server);

    let ca_file = (addresses.1.is_some() && args.tls.tls_cert.is_none()).then(|| tls::ca_file(&data_dir));
    let endpoint = Endpoint::new(addresses.0, addresses.1, &settings.access_key, DEFAULT_RESOURCE, ca_file);
    endpoint.write(&data_dir).with_context(|| format!("writing {}", endpoint::path(&data_dir).display()))?;
    println!("{}", endpoint.announcement(settings.access_key != DEVELOPMENT_KEY));

    // Sockets, then jobs, then the pool, then the cluster.
    server.await?.context("serving")?;
    endpoint.remove(&data_dir);
    jobs.cancel();
    if let Some(sweeping) = sweeping {
        sweeping.await?;
    }
    db.close().await;
    supervision.cancel();
    database.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn migrate(args: MigrateArgs) -> anyhow::Result<()> {
    let data_dir = data_dir(&args.database.folders)?;
    start_log(&args.log)?;
    let database = Database::open(&args.database, &data_dir).await?;
    let done = database.migrate().await;
    database.close().await;
    done
}

async fn sweep(args: SweepArgs) -> anyhow::Result<()> {
    let data_dir = data_dir(&args.database.folders)?;
    start_log(&args.log)?;
    let stop = stop_on_signal()?;
    let database = Database::open(&args.database, &data_dir).await?;
    let ctx = Context::new(pool::pool(database.options.clone()), Clock::system(), 0, 0);
    let (now, grace) = (ctx.clock.now(), grace(&args.grace));
    let told = if args.dry_run {
        let due = service::rooms::due(&ctx, now - grace, now).await;
        due.map(|(rooms, answers)| format!("would delete {} rooms and {answers} remembered answers", rooms.count))
    } else {
        let swept = sweeper::tick(&ctx, now, grace, &stop).await;
        swept.map(|swept| format!("deleted {} rooms and {} remembered answers", swept.rooms, swept.answers))
    };
    ctx.db.close().await;
    database.close().await;
    println!("{}", told.context("sweeping")?);
    Ok(())
}

/// The grace is bounded where it is read.
fn grace(args: &GraceArgs) -> TimeDelta {
    TimeDelta::from_std(args.sweep_grace).unwrap_or(TimeDelta::MAX)
}

async fn postgres(args: PostgresArgs) -> anyhow::Result<()> {
    let data_dir = data_dir(&args.folders)?;
    start_log(&args.log)?;
    let stop = stop_on_signal()?;
    let database = Database::open(&DatabaseArgs { database_url: None, folders: args.folders }, &data_dir).await?;
    let supervision = database.supervise();
    if let Some(cluster) = &database.cluster {
        println!("{}", cluster.url(embedded::DATABASE));
    }
    stop.cancelled().await;
    supervision.cancel();
    database.close().await;
    Ok(())
}

/// The database that a command works on.
struct Database {
    options: pool::Options,
    cluster: Option<Arc<Cluster>>,
}

impl Database {
    /// The one that was named, or the private one, which is started.
    async fn open(args: &DatabaseArgs, data_dir: &Path) -> anyhow::Result<Self> {
        if let Some(url) = &args.database_url {
            let options =
                pool::options_from_url(url.expose_secret()).map_err(|e| ConfigError(format!("--database-url: {e}")))?;
            return Ok(Self { options, cluster: None });
        }
        let settings = embedded::Settings {
            folder: data_dir.join("postgres"),
            programs: args.folders.postgres_bin.clone(),
            path: program_path(),
            durable: true,
        };
        let cluster =
            tokio::task::spawn_blocking(move || Cluster::start(&settings)).await?.context("the private Postgres")?;
        tracing::info!(url = cluster.url(embedded::DATABASE), "no database was named: using a private Postgres");
        pool::create_database(&cluster.connect_options("postgres"), embedded::DATABASE).await?;
        let options = cluster.connect_options(embedded::DATABASE);
        Ok(Self { options, cluster: Some(Arc::new(cluster)) })
    }

    async fn migrate(&self) -> anyhow::Result<()> {
        pool::migrate(&self.options).await.context("bringing the schema up to date")
    }

    /// Watches over a private cluster until the token is cancelled.
    fn supervise(&self) -> CancellationToken {
        let stop = CancellationToken::new();
        if let Some(cluster) = &self.cluster {
            tokio::task::spawn_local(Arc::clone(cluster).supervise(stop.clone()));
        }
        stop
    }

    async fn close(self) {
        if let Some(cluster) = self.cluster {
            let _ = tokio::task::spawn_blocking(move || cluster.stop()).await;
        }
    }
}

/// Checks what has to fit together.
fn settings(args: &ServeArgs) -> Result<Settings, ConfigError> {
    let access_key = args.access_key.as_ref().map_or(DEVELOPMENT_KEY, |key| key.expose_secret()).trim();
    if access_key == DEVELOPMENT_KEY && !args.is_local() {
        return Err(ConfigError(
            "the development key is for listeners on this machine alone: set --access-key, or listen on 127.0.0.1"
                .to_owned(),
        ));
    }
    keyring::decode(access_key).map_err(|e| ConfigError(format!("--access-key: {e}")))?;
    let clock_skew = args.clock_skew.0.map(|skew| TimeDelta::from_std(skew).unwrap_or(TimeDelta::MAX));
    let public_hosts = args
        .public_host
        .iter()
        .map(|text| text.parse::<PublicHost>().map_err(|e| ConfigError(format!("--public-host {text}: {e}"))))
        .collect::<Result<_, _>>()?;
    for origin in &args.cors_origin {
        let is_origin = origin.split_once("://").is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'));
        if origin != "*" && !is_origin {
            return Err(ConfigError(format!(
                "--cors-origin {origin}: write an origin such as https://app.example, or *"
            )));
        }
    }
    Ok(Settings { access_key: access_key.to_owned(), clock_skew, public_hosts, cors_origins: args.cors_origin.clone() })
}

/// The data folder, made if it is not there. The private cluster's user has to pass through root's.
fn data_dir(args: &FolderArgs) -> anyhow::Result<PathBuf> {
    let is_root = nix::unistd::Uid::effective().is_root();
    let folder = args.folder(is_root)?;
    DirBuilder::new()
        .recursive(true)
        .mode(if is_root { 0o755 } else { 0o700 })
        .create(&folder)
        .with_context(|| format!("the data folder {}", folder.display()))?;
    Ok(folder)
}

fn start_log(args: &LogArgs) -> Result<(), ConfigError> {
    let json = args.log_format.map(|format| format == LogFormat::Json);
    telemetry::start(&args.log, json).map_err(|e| ConfigError(format!("--log {}: {e}", args.log)))
}

/// Holds the data folder against a second instance, which would write the same endpoint.json.
fn claim(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join("lock");
    let lock = File::create(&path).with_context(|| path.display().to_string())?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(anyhow!(
            "{} is in use by another roomkeeper: every instance has a data folder of its own (--data-dir)",
            data_dir.display()
        )),
        Err(TryLockError::Error(e)) => Err(e).with_context(|| path.display().to_string()),
    }
}

fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("{flag} {address}"))
}

fn certificate(args: &TlsArgs, data_dir: &Path, clock: &Clock) -> anyhow::Result<rustls::ServerConfig> {
    let config = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => tls::from_files(cert, key).map_err(|e| ConfigError(e.to_string()))?,
        _ => tls::for_this_machine(data_dir, clock.now())?,
    };
    Ok(config)
}

/// Cancelled by the first SIGTERM or SIGINT.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tokio::task::spawn_local(async move {
            signals.recv().await;
            tracing::info!("stopping");
            stop.cancel();
        });
    }
    Ok(stop)
}
