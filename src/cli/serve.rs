//! `roomkeeper serve`: what is checked before, started, told, and ended in turn.

use std::fs::{self, File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use chrono::TimeDelta;
use rand::RngExt as _;
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::{data_dir, grace, start_log, stop_on_signal};
use crate::acs::PublicHost;
use crate::app::{self, Listeners, Settings};
use crate::auth::keyring;
use crate::clock::Clock;
use crate::config::{ConfigError, DEVELOPMENT_KEY, ServeArgs, TlsArgs};
use crate::endpoint::{self, Endpoint};
use crate::jobs::sweeper;
use crate::service::Context;
use crate::service::keys::DEFAULT_RESOURCE;
use crate::tls;

/// Serves until a signal comes.
pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
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
    let ctx = Context::new(database.pool(), clock, args.max_participants, rand::rng().random());
    let keys = app::keys::prepare(&ctx, &settings.access_key).await?;
    let db = ctx.db.clone();
    let jobs = CancellationToken::new();
    let refreshing = tokio::task::spawn_local(app::keys::refresh(ctx.clone(), keys.clone(), jobs.clone()));
    let sweeping = args.sweep_interval.0.map(|interval| {
        tokio::task::spawn_local(sweeper::run(ctx.clone(), interval, grace(&args.grace), jobs.clone()))
    });
    let server = app::serve(ctx, app::acs(keys, &settings), &settings, Listeners { http, https }, stop)?;
    let server = tokio::task::spawn_local(server);

    let ca_file = (addresses.1.is_some() && args.tls.tls_cert.is_none()).then(|| tls::ca_file(&data_dir));
    let endpoint = Endpoint::new(addresses.0, addresses.1, &settings.access_key, DEFAULT_RESOURCE, ca_file);
    endpoint.write(&data_dir).with_context(|| format!("writing {}", endpoint::path(&data_dir).display()))?;
    println!("{}", endpoint.announcement(settings.access_key != DEVELOPMENT_KEY));

    // Sockets, then jobs, then the pool, then the cluster.
    server.await?.context("serving")?;
    endpoint.remove(&data_dir);
    jobs.cancel();
    refreshing.await?;
    if let Some(sweeping) = sweeping {
        sweeping.await?;
    }
    db.close().await;
    supervision.cancel();
    database.close().await;
    tracing::info!("stopped");
    Ok(())
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
    Ok(Settings {
        access_key: access_key.to_owned(),
        clock_skew,
        public_hosts,
        cors_origins: args.cors_origin.clone(),
        explain_auth: args.explain_auth,
    })
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
