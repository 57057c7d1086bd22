//! `roomkeeper serve`: what is checked before, started, told, and ended in turn.

use std::fs::{self, File, TryLockError};
use std::io::{self, IsTerminal as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use chrono::TimeDelta;
use rand::RngExt as _;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::database::Database;
use super::reload::Reload;
use super::signals::{self, Ending};
use super::{data_dir, grace, open_files, say, start_log};
use crate::ably::Demo;
use crate::acs::PublicHost;
use crate::app::{self, Listeners, Settings};
use crate::auth::keyring;
use crate::clock::Clock;
use crate::config::{ConfigError, DEVELOPMENT_KEY, LiveArgs, NumberOrOff, ServeArgs, Switch, TlsArgs};
use crate::endpoint::{self, Endpoint};
use crate::jobs::{clocks, sweeper};
use crate::net::{self, Gate};
use crate::realtime::{Hub, Limits};
use crate::service::Context;
use crate::service::keys::DEFAULT_RESOURCE;
use crate::telemetry;
use crate::tls::{self, Certificate};

/// Serves until a signal comes.
pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let mut settings = settings(&args)?;
    let data_dir = data_dir(&args.database.folders)?;
    start_log(&args.log)?;
    let stderr_is_terminal = io::stderr().is_terminal();
    let ending = signals::ending(stderr_is_terminal)?; // closing a terminal ends the commands that it runs
    let hangups = if stderr_is_terminal { None } else { Some(signal(SignalKind::hangup())?) };
    settings.sockets = sockets(&args, open_files::raise())?;

    // A port that is taken is told before a database is made.
    let http = bind(args.listen, "--listen")?;
    let https = args.tls.tls_listen.0.map(|address| bind(address, "--tls-listen")).transpose()?;
    let _claim = claim(&data_dir)?;
    let _ = fs::remove_file(endpoint::path(&data_dir)); // of an instance that was killed
    let mut reload = Reload { log_filter: args.log.log_filter_file.clone(), ..Reload::default() };
    let https = match https {
        Some(listener) => {
            let certificate = certificate(&args.tls, &data_dir, &Clock::system())?;
            let config = certificate.server_config()?;
            if let (Some(cert), Some(key)) = (&args.tls.tls_cert, &args.tls.tls_key) {
                reload.certificate = Some((certificate, cert.clone(), key.clone()));
            }
            Some((listener, config))
        }
        None => None,
    };

    if args.explain_auth && !args.is_local() {
        tracing::warn!("--explain-auth helps whoever asks, and others than this machine can: it is for development");
    }
    if args.demo.is_some() && !args.is_local() {
        tracing::warn!("--demo gives a token to anybody who reaches it, and others than this machine can");
    }
    if app::keys::is_development_key(&settings.access_key) && settings.cors_origins.iter().any(|origin| origin == "*") {
        tracing::warn!("--cors-origin * lets every page in a browser of this machine call with the development key");
    }
    // A signal ends it also while it waits for a database that does not answer.
    let opened = ending.first.run_until_cancelled(open_database(&args, &data_dir)).await;
    let Some(database) = opened.transpose()? else { return Ok(()) };
    let keys_asked = Arc::clone(&reload.keys);
    let reloading = tokio::task::spawn_local(reload.run(hangups));
    let listeners = Listeners { http, https };
    let served = serve_on(&database, &args, &settings, &data_dir, listeners, keys_asked, ending).await;
    reloading.abort();
    database.close().await;
    telemetry::tell_left_out_now();
    tracing::info!("stopped");
    served
}

async fn open_database(args: &ServeArgs, data_dir: &Path) -> anyhow::Result<Database> {
    let database = Database::open(&args.database, data_dir).await?;
    database.check_sessions().await?;
    if args.no_migrate {
        database.check().await?;
    } else {
        database.migrate().await?;
    }
    Ok(database)
}

/// Starts, tells, and ends in turn: sockets, then jobs, then the pool. The cluster is left to the caller.
async fn serve_on(
    database: &Database,
    args: &ServeArgs,
    settings: &Settings,
    data_dir: &Path,
    listeners: Listeners,
    keys_asked: Arc<Notify>,
    ending: Ending,
) -> anyhow::Result<()> {
    let (http, https) =
        (listeners.http.local_addr()?, listeners.https.as_ref().map(|(l, _)| l.local_addr()).transpose()?);
    let ctx = Context::new(database.pool(), Clock::system(), args.max_participants, rand::rng().random());
    let prepared =
        ending.first.run_until_cancelled(app::keys::prepare(&ctx, settings.keys(), settings.named_rooms)).await;
    let Some(keys) = prepared.transpose()? else { return Ok(()) };
    let ably = app::ably(&ctx, keys.clone(), settings);
    let state = app::state(ctx.clone(), &ably, settings, ending.first.clone());
    let acs = app::acs(keys.clone(), settings);
    let (gate, stop) = (Gate::new(settings.sockets.clone()), CancellationToken::new());
    let mut server = app::serve(state.clone(), acs, ably, settings, listeners, gate.clone(), stop.clone())?;

    let (jobs, ended) = (TaskTracker::new(), CancellationToken::new());
    database.supervise(&jobs, &ended);
    jobs.spawn_local(drain(ending.clone(), args.drain, gate, Arc::clone(&state.hub), stop.clone()));
    jobs.spawn_local(app::live(state, stop.clone()));
    jobs.spawn_local(app::keys::refresh(ctx.clone(), keys, keys_asked, ended.clone()));
    jobs.spawn_local(clocks::run(ctx.clone(), ended.clone()));
    if let Some(interval) = args.sweep_interval.0 {
        jobs.spawn_local(sweeper::run(ctx.clone(), interval, grace(&args.grace), ended.clone()));
    }

    let ca_file = (https.is_some() && args.tls.tls_cert.is_none()).then(|| tls::ca_file(data_dir));
    let endpoint = Endpoint::new(http, https, &settings.access_key, DEFAULT_RESOURCE, ca_file);
    let mut ended_early = false;
    let ready = tokio::select! {
        ended = &mut server => {
            ended_early = true;
            Err(anyhow!("the server ended before it was ready: {ended:?}"))
        }
        answered = until_it_answers(http) => answered.context("asking the new server for an answer"),
    };
    let told = match ready {
        // A signal was quicker: there is nothing to tell, and nothing went wrong.
        _ if ending.first.is_cancelled() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => announce(&endpoint, data_dir, settings),
    };
    let served = match told {
        Ok(()) if !ended_early => server.await.context("serving"),
        told => told,
    };

    endpoint.remove(data_dir);
    ended.cancel();
    jobs.close();
    jobs.wait().await;
    ctx.db.close();
    served
}

/// Cancels `stop` when the service has to end: at once while nobody is connected, else `span` after the first signal, or
/// at the second one. Proxies have two fifths of it to notice; then live clients are told to connect elsewhere.
async fn drain(ending: Ending, span: Duration, gate: Gate, hub: Arc<Hub>, stop: CancellationToken) {
    ending.first.cancelled().await;
    if gate.settled() > 0 && !span.is_zero() {
        tracing::info!(seconds = span.as_secs_f64(), "draining: a second signal ends it at once");
        let draining = async {
            let until = Instant::now() + span;
            sleep(span * 2 / 5).await;
            hub.drain(span / 2).await;
            sleep_until(until).await;
        };
        ending.second.run_until_cancelled(draining).await;
    }
    stop.cancel();
}

fn announce(endpoint: &Endpoint, data_dir: &Path, settings: &Settings) -> anyhow::Result<()> {
    endpoint.write(data_dir).with_context(|| format!("writing {}", endpoint::path(data_dir).display()))?;
    say(&endpoint.announcement(!app::keys::is_development_key(&settings.access_key)));
    Ok(())
}

/// Listeners take connections before there is anybody to answer: so it is ready when it has answered.
async fn until_it_answers(http: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(endpoint::reachable(http)).await?;
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    stream.read_u8().await.map(|_| ())
}

/// Fewer bytes could be guessed.
const SHORTEST_KEY: usize = 16;

/// Reads a key that was set by a flag.
fn key(flag: &str, text: &str) -> Result<String, ConfigError> {
    let text: String = text.split_whitespace().collect(); // as tools break long lines
    let key = keyring::trimmed(&text).to_owned();
    if keyring::decode(&key).map_or(0, |bytes| bytes.len()) < SHORTEST_KEY {
        return Err(ConfigError(format!(
            "{flag}: a key is base64 of at least {SHORTEST_KEY} bytes, such as `openssl rand -base64 64` makes"
        )));
    }
    Ok(key)
}

/// Checks what has to fit together.
fn settings(args: &ServeArgs) -> Result<Settings, ConfigError> {
    let access_key = args.access_key.as_ref().map_or(DEVELOPMENT_KEY, |key| key.expose_secret());
    let access_key = key("--access-key", access_key)?;
    let secondary = args.secondary_access_key.as_ref().map(|key| key.expose_secret()).filter(|key| !key.is_empty());
    let secondary = secondary.map(|text| key("--secondary-access-key", text));
    if app::keys::is_development_key(&access_key) && !args.is_local() {
        return Err(ConfigError(
            "the development key is for this machine alone: set --access-key, or listen on 127.0.0.1 without a \
             --public-host of another name"
                .to_owned(),
        ));
    }
    let clock_skew = args.clock_skew.0.map(|skew| TimeDelta::from_std(skew).unwrap_or(TimeDelta::MAX));
    let public_hosts = args
        .public_host
        .iter()
        .filter(|host| !host.is_empty()) // a variable that is set to nothing
        .map(|text| text.parse::<PublicHost>().map_err(|e| ConfigError(format!("--public-host {text}: {e}"))))
        .collect::<Result<_, _>>()?;
    let cors_origins: Vec<String> = args.cors_origin.iter().filter(|origin| !origin.is_empty()).cloned().collect();
    for origin in &cors_origins {
        if origin != "*" && !app::is_origin(origin) {
            return Err(ConfigError(format!(
                "--cors-origin {origin}: write an origin such as https://app.example, or *"
            )));
        }
    }
    if args.demo.is_some() && !args.demo_for_anyone && !args.is_local() {
        return Err(ConfigError(
            "--demo gives a token to anybody who reaches it, and others than this machine can: listen on 127.0.0.1 \
             without a --public-host of another name, or say that it is meant with --demo-for-anyone"
                .to_owned(),
        ));
    }
    let demo = args.demo.as_deref().map(Demo::read).transpose().map_err(|e| ConfigError(format!("--demo: {e}")))?;
    Ok(Settings {
        access_key,
        secondary_access_key: secondary.transpose()?,
        replace_access_key: args.replace_access_key,
        clock_skew,
        public_hosts,
        cors_origins,
        explain_auth: args.explain_auth,
        basic_auth: args.basic_auth == Switch::On,
        named_rooms: args.live.named_rooms == Switch::On,
        max_requests: args.max_requests.map_or_else(app::usual_requests, |most| most.try_into().unwrap_or(usize::MAX)),
        max_body_memory: args.max_body_memory.try_into().unwrap_or(usize::MAX),
        max_input_memory: args.live.max_input_memory,
        live: limits(&args.live),
        sockets: net::Limits::default(), // until it is known how many files may be open
        demo,
        demo_for_anyone: args.demo_for_anyone,
    })
}

/// Files that the service itself has open at most: connections to the database, logs, listeners, and what is short-lived.
const OWN_FILES: u64 = 160;

/// Sockets of one address, where each client has its own.
const SOCKETS_PER_ADDRESS: usize = 1_000;

/// How many sockets there may be, given how many files may be open.
fn sockets(args: &ServeArgs, open_files: nix::Result<u64>) -> Result<net::Limits, ConfigError> {
    let ServeArgs { sockets: args, public_host, .. } = args;
    let free = match open_files {
        Ok(most) => usize::try_from(most.saturating_sub(OWN_FILES)).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays as it is");
            net::Limits::default().sockets
        }
    };
    // A few files leave a few sockets, of which some are for those who are not known yet.
    let unknown = net::MAX_UNKNOWN.min(free / 8).max(8);
    let available = free.saturating_sub(unknown).max(1);
    let sockets = match args.max_sockets {
        Some(asked) if asked > available => {
            return Err(ConfigError(format!(
                "--max-sockets {asked}: the limit of open files leaves {available}; raise it (ulimit -n, LimitNOFILE)"
            )));
        }
        Some(asked) => asked,
        None => available,
    };
    let proxies = args.trusted_proxy.iter().filter(|text| !text.is_empty()).map(|text| {
        let told = || ConfigError(format!("--trusted-proxy {text}: write an address such as 10.0.0.5"));
        text.parse().map(|ip: IpAddr| ip.to_canonical()).map_err(|_| told())
    });
    let proxies = proxies.collect::<Result<Vec<_>, _>>()?;
    // Behind a proxy that is not known, all clients have one address.
    let is_behind_one = public_host.iter().any(|host| !host.is_empty()) && proxies.is_empty();
    let usual = NumberOrOff((!is_behind_one).then_some(SOCKETS_PER_ADDRESS));
    let per_address = args.max_sockets_per_address.unwrap_or(usual).0;
    tracing::debug!(sockets, unknown, ?per_address, "sockets that there may be");
    Ok(net::Limits { sockets, unknown, per_address, proxies })
}

fn limits(args: &LiveArgs) -> Limits {
    Limits {
        connections: args.max_connections,
        connections_per_client: args.max_connections_per_client,
        output_memory: args.max_output_memory,
        rooms_per_connection: args.max_rooms_per_connection,
        members_per_room: args.max_members,
        presence_memory: args.max_presence_memory,
        replay_memory: args.max_replay_memory,
        message_size: args.max_message_size,
        rate_per_connection: args.connection_rate,
        rate_per_room: args.room_rate,
        occupancy_interval: args.occupancy_interval,
    }
}

/// Holds the data folder against a second instance, which would write the same endpoint.json.
fn claim(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join("lock");
    let lock = File::create(&path).with_context(|| path.display().to_string())?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(anyhow!(
            "{} is in use by another roomkeeper: every instance has a data folder of its own (--data-dir), and \
             several instances share a database by its URL (--database-url)",
            data_dir.display()
        )),
        Err(TryLockError::Error(e)) => Err(e).with_context(|| path.display().to_string()),
    }
}

fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("{flag} {address}"))
}

fn certificate(args: &TlsArgs, data_dir: &Path, clock: &Clock) -> anyhow::Result<Certificate> {
    let key = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => tls::from_files(cert, key).map_err(|e| ConfigError(e.to_string()))?,
        _ => tls::for_this_machine(data_dir, clock.now())?,
    };
    Ok(Certificate::new(key))
}
