//! What can be set, by flag or by environment; the only reader of the environment.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

use crate::this_machine;

/// The key of a service that was given none. No secret: it stands in the README, and is refused
/// when anybody but this machine could use it.
pub const DEVELOPMENT_KEY: &str =
    "cm9vbWtlZXBlci1kZXZlbG9wbWVudC1rZXktbm90LWEtc2VjcmV0LWZvci1sb2NhbC11c2Utb25seS0tLS0tLQ==";

/// A rooms server that Azure Communication Services Rooms clients work against.
#[derive(Debug, Parser)]
#[command(name = "roomkeeper", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve rooms (the default).
    Serve(Box<ServeArgs>),
    /// Bring the database's schema up to date, and end.
    Migrate(CommandArgs),
    /// Delete what is over, once, and say what it was; the service does so by itself.
    Sweep(SweepArgs),
    /// Make a new key to sign user tokens with; tokens signed with the old one stay good until they expire.
    RotateSigningKey(CommandArgs),
    /// Run the private Postgres alone: print its URL, and keep it until stopped.
    Postgres(PostgresArgs),
    /// Ask a service that runs whether it can work; exit code 0 if it can, else 1.
    Health(HealthArgs),
    /// Print the headers of a signed request, for `curl -H @-`.
    Sign(SignArgs),
    /// Print openapi.yaml, the description of the API.
    Openapi,
    /// Print the version.
    Version,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where to serve HTTP; port 0 picks a free one.
    #[arg(long, env = "ROOMKEEPER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub tls: TlsArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Serve without bringing the schema up to date first.
    #[arg(long, env = "ROOMKEEPER_NO_MIGRATE", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_migrate: bool,
    /// The primary access key of the default resource, in base64; without one, the development key.
    #[arg(long, env = "ROOMKEEPER_ACCESS_KEY", value_name = "KEY", hide_env_values = true)]
    pub access_key: Option<SecretString>,
    /// A second access key that requests may be signed with; without one, that which is stored stays.
    #[arg(long, env = "ROOMKEEPER_SECONDARY_ACCESS_KEY", value_name = "KEY", hide_env_values = true)]
    pub secondary_access_key: Option<SecretString>,
    /// Have these keys replace those that the database has, for all instances; for one start.
    #[arg(long, env = "ROOMKEEPER_REPLACE_ACCESS_KEY")]
    pub replace_access_key: bool,
    /// The tolerated difference of a request's x-ms-date, or `off`.
    #[arg(long, env = "ROOMKEEPER_CLOCK_SKEW", value_name = "DURATION", default_value = "15m", value_parser = duration_or_off)]
    pub clock_skew: DurationOrOff,
    /// How long requests are still answered after SIGTERM, while `/health` says 503 and live clients are told to connect
    /// elsewhere; without clients it ends at once.
    #[arg(long, env = "ROOMKEEPER_DRAIN", value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub drain: Duration,
    /// How often rooms that are over are looked for, or `off`.
    #[arg(long, env = "ROOMKEEPER_SWEEP_INTERVAL", value_name = "DURATION", default_value = "60s", value_parser = interval_or_off)]
    pub sweep_interval: DurationOrOff,
    #[command(flatten)]
    pub grace: GraceArgs,
    /// The most participants that a roster holds.
    #[arg(long, env = "ROOMKEEPER_MAX_PARTICIPANTS", value_name = "N", default_value_t = 350, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_participants: u32,
    /// The most requests that are handled at once; requests beyond it are answered 503 [default: 2048 for each core]
    #[arg(long, env = "ROOMKEEPER_MAX_REQUESTS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_requests: Option<u32>,
    /// The most bytes of request bodies that are held at once; requests beyond it are answered 503.
    #[arg(long, env = "ROOMKEEPER_MAX_BODY_MEMORY", value_name = "BYTES", default_value_t = 67_108_864, value_parser = clap::value_parser!(u64).range(1_048_576..))]
    pub max_body_memory: u64,
    /// Authorities, with a path prefix if clients have one, that requests may be signed for besides
    /// their Host header: a proxy's public name, another spelling. Separated by commas.
    #[arg(long, env = "ROOMKEEPER_PUBLIC_HOST", value_name = "HOST[:PORT][/PREFIX]", value_delimiter = ',')]
    pub public_host: Vec<String>,
    /// Tell a client whose signature is refused why: for development, as it helps whoever asks.
    #[arg(long, env = "ROOMKEEPER_EXPLAIN_AUTH", value_parser = clap::builder::FalseyValueParser::new())]
    pub explain_auth: bool,
    /// Whether requests may have the access key itself, by HTTP Basic, over https or from this machine.
    #[arg(long, env = "ROOMKEEPER_BASIC_AUTH", value_name = "ON_OR_OFF", default_value = "on")]
    pub basic_auth: Switch,
    /// Browser origins that may call, separated by commas; `*` for any. Without it, any may call live rooms (with the
    /// development key, those of this machine), and none the rest.
    #[arg(long, env = "ROOMKEEPER_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<String>,
    #[command(flatten)]
    pub sockets: SocketArgs,
    #[command(flatten)]
    pub live: LiveArgs,
    /// Serve a page to try live rooms with, at /demo, which gives a token to whoever asks: for development. Its
    /// packages are in the folder, or in examples/demo [default: off]
    #[arg(long, env = "ROOMKEEPER_DEMO", value_name = "FOLDER", num_args = 0..=1, default_missing_value = "examples/demo")]
    pub demo: Option<PathBuf>,
    /// Serve the page of --demo, and its tokens, to whoever reaches it, by any name; without it, to this machine alone.
    #[arg(long, env = "ROOMKEEPER_DEMO_FOR_ANYONE", value_parser = clap::builder::FalseyValueParser::new())]
    pub demo_for_anyone: bool,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
pub struct SocketArgs {
    /// The most sockets of clients at once [default: the limit of open files, less what the service needs itself]
    #[arg(long, env = "ROOMKEEPER_MAX_SOCKETS", value_name = "N")]
    pub max_sockets: Option<usize>,
    /// The most sockets of one address, or `off`; never of this machine's own, or of a --trusted-proxy
    /// [default: 1000, or off with --public-host, unless --trusted-proxy says who the proxy is]
    #[arg(long, env = "ROOMKEEPER_MAX_SOCKETS_PER_ADDRESS", value_name = "N", value_parser = number_or_off)]
    pub max_sockets_per_address: Option<NumberOrOff>,
    /// Addresses of proxies, which bring many clients each. Separated by commas.
    #[arg(long, env = "ROOMKEEPER_TRUSTED_PROXY", value_name = "ADDRESS", value_delimiter = ',')]
    pub trusted_proxy: Vec<String>,
}

#[derive(Debug, Args)]
pub struct LiveArgs {
    /// Whether clients may enter live rooms that no backend made, by any name that their credential allows. Of the
    /// default resource, for all instances that share the database.
    #[arg(long, env = "ROOMKEEPER_NAMED_ROOMS", value_name = "STATE", default_value = "on")]
    pub named_rooms: Switch,
    /// The most clients that are connected to live rooms at once.
    #[arg(long, env = "ROOMKEEPER_MAX_CONNECTIONS", value_name = "N", default_value_t = 10_000)]
    pub max_connections: usize,
    /// The most connections of one client, or of one token that names none; those that broke off and can be resumed
    /// count. Backends with the key have no such limit, and places of their own beyond --max-connections.
    #[arg(long, env = "ROOMKEEPER_MAX_CONNECTIONS_PER_CLIENT", value_name = "N", default_value_t = 100)]
    pub max_connections_per_client: usize,
    /// The most bytes that wait for all clients of live rooms together; beyond it, whoever has the most waiting is cut.
    #[arg(long, env = "ROOMKEEPER_MAX_OUTPUT_MEMORY", value_name = "BYTES", default_value_t = 268_435_456)]
    pub max_output_memory: usize,
    /// The most bytes of messages that arrive and are not whole yet, of all clients of live rooms together; beyond it,
    /// whoever has the most is cut.
    #[arg(long, env = "ROOMKEEPER_MAX_INPUT_MEMORY", value_name = "BYTES", default_value_t = 134_217_728)]
    pub max_input_memory: usize,
    /// The most rooms that a client is attached to at once.
    #[arg(long, env = "ROOMKEEPER_MAX_ROOMS_PER_CONNECTION", value_name = "N", default_value_t = 200)]
    pub max_rooms_per_connection: usize,
    /// The most members that are present in a room.
    #[arg(long, env = "ROOMKEEPER_MAX_MEMBERS", value_name = "N", default_value_t = 200)]
    pub max_members: usize,
    /// The most bytes that the members of all rooms take in memory; beyond it nobody enters with another one.
    #[arg(long, env = "ROOMKEEPER_MAX_PRESENCE_MEMORY", value_name = "BYTES", default_value_t = 268_435_456)]
    pub max_presence_memory: usize,
    /// The most memory, in bytes, for recent events of all rooms, which clients that resume receive; beyond it a room keeps few of them.
    #[arg(long, env = "ROOMKEEPER_MAX_REPLAY_MEMORY", value_name = "BYTES", default_value_t = 268_435_456)]
    pub max_replay_memory: usize,
    /// The most bytes that a client publishes, or is present with, at once.
    #[arg(long, env = "ROOMKEEPER_MAX_MESSAGE_SIZE", value_name = "BYTES", default_value_t = 65_536)]
    pub max_message_size: usize,
    /// Messages and presence updates a second that are taken from a client.
    #[arg(long, env = "ROOMKEEPER_CONNECTION_RATE", value_name = "N", default_value = "50")]
    pub connection_rate: NonZeroU32,
    /// The same in a room, from all its clients, who have equal shares of it.
    #[arg(long, env = "ROOMKEEPER_ROOM_RATE", value_name = "N", default_value = "50")]
    pub room_rate: NonZeroU32,
    /// The shortest time between two updates of a room's occupancy.
    #[arg(long, env = "ROOMKEEPER_OCCUPANCY_INTERVAL", value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub occupancy_interval: Duration,
}

#[derive(Debug, Args)]
pub struct TlsArgs {
    /// Where to serve HTTPS, or `off`.
    #[arg(long, env = "ROOMKEEPER_TLS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8443", value_parser = address_or_off)]
    pub tls_listen: AddressOrOff,
    /// The certificate chain for HTTPS, in PEM; without one, a certificate for this machine is made in the data folder.
    #[arg(long, env = "ROOMKEEPER_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, in PEM.
    #[arg(long, env = "ROOMKEEPER_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct GraceArgs {
    /// How long a room is kept after the end of its window.
    #[arg(long, env = "ROOMKEEPER_SWEEP_GRACE", value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub sweep_grace: Duration,
}

#[derive(Debug, Args)]
pub struct SweepArgs {
    /// Only say what would be deleted.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub grace: GraceArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
pub struct CommandArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
pub struct PostgresArgs {
    #[command(flatten)]
    pub folders: FolderArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// The Postgres to use; without one, a private Postgres is run in the data folder.
    #[arg(long, env = "ROOMKEEPER_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
    #[command(flatten)]
    pub folders: FolderArgs,
}

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Where it listens [default: as it says in the data folder]
    #[arg(long, value_name = "URL", value_parser = plain_url)]
    pub url: Option<String>,
    #[command(flatten)]
    pub data: DataDirArgs,
}

#[derive(Debug, Args)]
pub struct SignArgs {
    /// The method, such as GET.
    pub method: String,
    /// The path with its query, as it is sent: `/rooms?api-version=2025-03-13`.
    pub path: String,
    /// The file with the body, or `-` for stdin.
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// What the request is sent to [default: the service that runs here]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The access key, in base64 [default: of the service that runs here]
    #[arg(long, env = "ROOMKEEPER_ACCESS_KEY", value_name = "KEY", hide_env_values = true)]
    pub access_key: Option<SecretString>,
    #[command(flatten)]
    pub data: DataDirArgs,
}

#[derive(Debug, Args)]
pub struct DataDirArgs {
    /// Where the private Postgres, the certificates and endpoint.json are kept
    /// [default: /var/lib/roomkeeper for root, ~/.local/share/roomkeeper for others]
    #[arg(long, env = "ROOMKEEPER_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct FolderArgs {
    #[command(flatten)]
    pub data: DataDirArgs,
    /// The folder of the Postgres programs (initdb, pg_ctl, postgres) that run the private Postgres
    /// [default: the newest of Debian's, then the PATH]
    #[arg(long, env = "ROOMKEEPER_POSTGRES_BIN", value_name = "FOLDER")]
    pub postgres_bin: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct LogArgs {
    /// What to log: a level, or a tracing filter.
    #[arg(long, env = "ROOMKEEPER_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// A file that holds the filter, in place of --log; it is read again when it changes, and on SIGHUP.
    #[arg(long, env = "ROOMKEEPER_LOG_FILTER_FILE", value_name = "FILE")]
    pub log_filter_file: Option<PathBuf>,
    /// How to write the log, to stderr [default: pretty on a terminal, else json]
    #[arg(long, env = "ROOMKEEPER_LOG_FORMAT", value_name = "FORM")]
    pub log_format: Option<LogFormat>,
}

/// Whether something is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Pretty,
    Json,
}

/// A span of time; `None` is `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationOrOff(pub Option<Duration>);

/// A number; `None` is `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberOrOff(pub Option<usize>);

/// An address to listen on; `None` is `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressOrOff(pub Option<SocketAddr>);

/// The longest span that can be set: far beyond use, and safe to add to any date.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

fn duration(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|_| "write a duration such as 1500ms, 60s or 7d".to_owned())?;
    if span > LONGEST { Err("at most 100 years".to_owned()) } else { Ok(span) }
}

fn duration_or_off(text: &str) -> Result<DurationOrOff, String> {
    if text == "off" {
        return Ok(DurationOrOff(None));
    }
    duration(text).map(|span| DurationOrOff(Some(span))).map_err(|told| format!("{told}, or off"))
}

fn interval_or_off(text: &str) -> Result<DurationOrOff, String> {
    match duration_or_off(text)? {
        DurationOrOff(Some(span)) if span < Duration::from_millis(100) => Err("at least 100ms, or off".to_owned()),
        interval => Ok(interval),
    }
}

fn number_or_off(text: &str) -> Result<NumberOrOff, String> {
    match text {
        "off" => Ok(NumberOrOff(None)),
        _ => text.parse().map(|number| NumberOrOff(Some(number))).map_err(|_| "write a number, or off".to_owned()),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an address and a port, such as 127.0.0.1:8080".to_owned())
}

fn plain_url(text: &str) -> Result<String, String> {
    match text.strip_prefix("http://") {
        Some(host) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("write a URL such as http://127.0.0.1:8080".to_owned()),
    }
}

fn address_or_off(text: &str) -> Result<AddressOrOff, String> {
    match text {
        "off" => Ok(AddressOrOff(None)),
        _ => address(text).map(|address| AddressOrOff(Some(address))).map_err(|told| format!("{told}, or off")),
    }
}

/// A setting that can't be served with; ends the program with exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Cli {
    /// Reads the command line and the environment.
    ///
    /// # Errors
    /// clap's own, which also carries the text of `--help` and `--version`.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(args)
    }
}

impl ServeArgs {
    /// True when nobody but this machine can call: by a listener's address, or by a name that a proxy has.
    pub fn is_local(&self) -> bool {
        let listeners = [Some(self.listen), self.tls.tls_listen.0];
        listeners.iter().flatten().all(|address| address.ip().is_loopback())
            && self.public_host.iter().all(|host| host.is_empty() || names_this_machine(host))
    }
}

/// `host` may have a path prefix.
fn names_this_machine(host: &str) -> bool {
    host.split('/').next().is_some_and(this_machine::is_authority)
}

impl DataDirArgs {
    /// The data folder, absolute.
    ///
    /// # Errors
    /// No folder is given and the environment names no home, or the working folder is gone.
    pub fn folder(&self, is_root: bool) -> Result<PathBuf, ConfigError> {
        let folder = match &self.data_dir {
            Some(folder) => folder.clone(),
            None if is_root => PathBuf::from("/var/lib/roomkeeper"),
            None => xdg_data_home()
                .ok_or_else(|| ConfigError("no home folder: name a data folder with --data-dir".to_owned()))?
                .join("roomkeeper"),
        };
        std::path::absolute(&folder).map_err(|e| ConfigError(format!("--data-dir {}: {e}", folder.display())))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the reader of the environment")]
fn xdg_data_home() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).map(PathBuf::from).filter(|p: &PathBuf| p.is_absolute());
    named("XDG_DATA_HOME").or_else(|| Some(named("HOME")?.join(".local/share")))
}

/// What the programs of Postgres are told of our environment, and nothing else: secrets are set there.
#[expect(clippy::disallowed_methods, reason = "this is the reader of the environment")]
pub fn program_environment() -> Vec<(&'static str, OsString)> {
    // Where their libraries and helpers are, and the language and the clock that they report in.
    let told = ["PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ"];
    told.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))).collect()
}

/// The folders in which programs are looked for.
#[expect(clippy::disallowed_methods, reason = "this is the reader of the environment")]
pub fn program_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}
