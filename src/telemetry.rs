//! The log: to stderr, so that stdout is left to what the service announces.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// What is no news to an operator, unless the filter names it: requests that are no HTTP, which are
/// no errors of ours; workers that start; tables that are there already.
const QUIET: &str = "actix_http::h1=off,actix_server=warn,sqlx::postgres::notice=warn";

/// Starts logging what `filter` lets through, for the whole process: as JSON or for people; `None`
/// is for people on a terminal, else JSON.
///
/// # Errors
/// The filter can't be read.
pub fn start(filter: &str, json: Option<bool>) -> Result<(), ParseError> {
    let on_terminal = io::stderr().is_terminal();
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if json.unwrap_or(!on_terminal) {
        log.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
    } else {
        log.with_ansi(on_terminal).init();
    }
    Ok(())
}
