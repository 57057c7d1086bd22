//! `roomkeeper sign`: prints the headers of a signed request, for `curl -H @-`.

use std::fs;
use std::io::{self, Read as _};

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use crate::auth::hmac;
use crate::auth::keyring::AccessKey;
use crate::clock::Clock;
use crate::config::{ConfigError, SignArgs};
use crate::endpoint::Endpoint;

/// The headers, a line each.
///
/// # Errors
/// No service runs here and a URL or a key is missing, or the body can't be read.
pub fn sign(args: &SignArgs, is_root: bool, clock: &Clock) -> anyhow::Result<String> {
    let running = Endpoint::read(&args.data.folder(is_root)?);
    let url = match (&args.url, &running) {
        (Some(url), _) => url.clone(),
        (None, Ok(endpoint)) => endpoint.http.clone(),
        (None, Err(error)) => return Err(ConfigError(format!("--url is needed, as {error:#}")).into()),
    };
    let key = match (&args.access_key, running) {
        (Some(key), _) => key.expose_secret().to_owned(),
        (None, Ok(endpoint)) => endpoint.access_key,
        (None, Err(error)) => return Err(ConfigError(format!("--access-key is needed, as {error:#}")).into()),
    };
    let key = AccessKey::new(uuid::Uuid::nil().into(), String::new(), &key)
        .map_err(|error| ConfigError(format!("--access-key: {error}")))?;
    let host = url.split("://").nth(1).unwrap_or(&url).trim_end_matches('/');
    let date = httpdate::fmt_http_date(clock.now().into());
    let headers = hmac::sign(&key, &args.method.to_uppercase(), &args.path, &date, host, &body(args)?);
    Ok(headers.map(|(name, value)| format!("{name}: {value}\n")).concat())
}

fn body(args: &SignArgs) -> anyhow::Result<Vec<u8>> {
    match &args.body {
        None => Ok(Vec::new()),
        Some(file) if file.as_os_str() == "-" => {
            let mut body = Vec::new();
            io::stdin().read_to_end(&mut body).context("reading the body")?;
            Ok(body)
        }
        Some(file) => fs::read(file).with_context(|| file.display().to_string()),
    }
}
