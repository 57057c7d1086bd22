//! The log: to stderr, so that stdout is left to what the service announces.

pub mod episode;
mod repeated;

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, registry, reload};

use repeated::Repeated;

/// What is no news to an operator, unless the filter names it: requests that are no HTTP, which are
/// no errors of ours; workers that start; tables that are there already; slow statements, which are
/// logged with what failed for them.
const QUIET: &str = "actix_http::h1=off,actix_server=warn,sqlx::postgres::notice=warn,sqlx::query=error";

/// Of the log of this process.
static REPEATED: OnceLock<Repeated> = OnceLock::new();

/// Replaces the filter of this process.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Whether the log of this process is written as JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Starts logging what `filter` lets through, for the whole process: as JSON or for people; `None`
/// is for people on a terminal, else JSON.
///
/// # Errors
/// The filter can't be read.
pub fn start(filter: &str, json: Option<bool>) -> Result<(), ParseError> {
    let on_terminal = io::stderr().is_terminal();
    let (filter, handle) = reload::Layer::new(read(filter)?);
    let _ = FILTER.set(handle);
    let log = registry().with(filter).with(REPEATED.get_or_init(Repeated::default).clone());
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let json = json.unwrap_or(!on_terminal);
    IS_JSON.store(json, Ordering::Relaxed);
    if json {
        log.with(lines.json().flatten_event(true).with_current_span(true).with_span_list(false)).init();
    } else {
        log.with(lines.fmt_fields(debug_fn(write_field).delimited(" ")).with_ansi(on_terminal)).init();
    }
    Ok(())
}

/// Lets through what `filter` names from now on.
///
/// # Errors
/// The filter can't be read, or the log has not started.
pub fn set_filter(filter: &str) -> Result<(), String> {
    let filter = read(filter).map_err(|error| error.to_string())?;
    let handle = FILTER.get().ok_or("the log has not started")?;
    handle.reload(filter).map_err(|error| error.to_string())
}

fn read(filter: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{QUIET},{filter}"))
}

/// True if the log has started and is written as JSON.
pub fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// Control characters escaped, as JSON does by itself: what a client sent must not look like a line of its own.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    let text = format!("{value:?}");
    text.chars()
        .try_for_each(|c| if c.is_control() { write!(writer, "{}", c.escape_default()) } else { writer.write_char(c) })
}

/// Tells every second how many lines were left out because they were like others.
pub async fn tell_left_out() {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        tell_left_out_now();
    }
}

/// The same once, for the end of the process.
pub fn tell_left_out_now() {
    if let Some(repeated) = REPEATED.get() {
        repeated.tell();
    }
}
