//! The commands, and how the process starts and ends (design, section 1).

mod database;
mod health;
pub mod open_files;
mod reload;
mod serve;
mod sign;
mod signals;

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{
    Cli, Command, CommandArgs, ConfigError, DatabaseArgs, FolderArgs, GraceArgs, LogArgs, LogFormat, PostgresArgs,
    SweepArgs,
};
use crate::jobs::sweeper::{self, Swept};
use crate::service::Context;
use crate::{app, telemetry};
use database::Database;
use serve::serve;

/// Runs the command that `args` name and tells how the process ends: 0 done, 1 failed, 2 wrongly called.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::read(args) {
        Ok(cli) => cli,
        Err(told) if !told.use_stderr() => {
            say(&told.to_string());
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
            Some(Command::RotateSigningKey(args)) => rotate_signing_key(args).await,
            Some(Command::Postgres(args)) => postgres(args).await,
            Some(Command::Health(args)) => health::health(&args, is_root()).map(|()| say("ready")),
            Some(Command::Sign(args)) => {
                say(&sign::sign(&args, is_root(), &Clock::system())?);
                Ok(())
            }
            Some(Command::Openapi) => {
                say(&app::document::yaml().map_err(anyhow::Error::msg)?);
                Ok(())
            }
            Some(Command::Version) => {
                say(concat!("roomkeeper ", env!("CARGO_PKG_VERSION")));
                Ok(())
            }
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = if error.is::<ConfigError>() { 2 } else { 1 };
            let error = on_one_line(&format!("{error:#}"));
            if telemetry::is_json() && tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!(error, exit_code = code, "the command failed");
            } else {
                eprintln!("roomkeeper: {error}");
            }
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

/// Says something on stdout. That nobody reads it is no reason to end.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush());
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn migrate(args: CommandArgs) -> anyhow::Result<()> {
    let data_dir = data_dir(&args.database.folders)?;
    start_log(&args.log)?;
    let database = Database::join(&args.database, &data_dir).await?;
    let done = database.migrate().await;
    database.close().await;
    done.map(|()| say("the schema is up to date"))
}

async fn sweep(args: SweepArgs) -> anyhow::Result<()> {
    let data_dir = data_dir(&args.database.folders)?;
    start_log(&args.log)?;
    let stop = stop_on_signal()?;
    let database = Database::join(&args.database, &data_dir).await?;
    let ctx = Context::new(database.pool(), Clock::system(), 0, 0);
    let grace = grace(&args.grace);
    let (done, swept) = match args.dry_run {
        true => ("would delete", sweeper::due(&ctx, grace).await),
        false => ("deleted", sweeper::tick(&ctx, grace, &stop).await),
    };
    ctx.db.close();
    database.close().await;
    let Swept { rooms, answers, keys, .. } = swept.context("sweeping")?;
    say(&format!("{done} {rooms} rooms, {answers} remembered answers and {keys} old signing keys"));
    Ok(())
}

async fn rotate_signing_key(args: CommandArgs) -> anyhow::Result<()> {
    let data_dir = data_dir(&args.database.folders)?;
    start_log(&args.log)?;
    let database = Database::join(&args.database, &data_dir).await?;
    let ctx = Context::new(database.pool(), Clock::system(), 0, 0);
    let kid = app::keys::rotate_signing_key(&ctx).await;
    ctx.db.close();
    database.close().await;
    say(&format!("tokens will be signed with {} after five minutes; earlier ones stay good until they expire", kid?));
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
    let jobs = TaskTracker::new();
    database.supervise(&jobs, &stop);
    if let Some(url) = database.private_url() {
        say(&url);
    }
    stop.cancelled().await;
    jobs.close();
    jobs.wait().await;
    database.close().await;
    Ok(())
}

/// The data folder, made if it is not there. The private cluster's user has to pass through root's.
fn data_dir(args: &FolderArgs) -> anyhow::Result<PathBuf> {
    let is_root = is_root();
    let folder = args.data.folder(is_root)?;
    DirBuilder::new()
        .recursive(true)
        .mode(if is_root { 0o755 } else { 0o700 })
        .create(&folder)
        .with_context(|| format!("the data folder {}", folder.display()))?;
    Ok(folder)
}

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

fn start_log(args: &LogArgs) -> Result<(), ConfigError> {
    let json = args.log_format.map(|format| format == LogFormat::Json);
    let Some(file) = &args.log_filter_file else {
        return telemetry::start(&args.log, json).map_err(|e| ConfigError(format!("--log {}: {e}", args.log)));
    };
    let filter = reload::filter(file).map_err(|e| e.to_string());
    let started = filter.and_then(|filter| telemetry::start(&filter, json).map_err(|e| e.to_string()));
    started.map_err(|e| ConfigError(format!("--log-filter-file {}: {e}", file.display())))
}

/// Cancelled by the first signal that ends the process.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    Ok(signals::ending(true)?.first)
}
