//! What a bench is told on its command line.

use std::error::Error;
use std::str::FromStr;

use crate::processes::Result;

/// The value behind a flag such as `--rooms`, or the usual one.
pub fn flag<T: FromStr<Err: Error + 'static>>(name: &str, usual: T) -> Result<T> {
    let mut given = std::env::args().skip_while(|arg| arg != name).skip(1);
    Ok(given.next().map(|value| value.parse()).transpose()?.unwrap_or(usual))
}
