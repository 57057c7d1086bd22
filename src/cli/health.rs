//! `roomkeeper health`: asks a service that runs whether it can work, for containers and scripts.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::config::HealthArgs;
use crate::endpoint::Endpoint;

/// Longer than a service takes that can't work (design, section 8).
const PATIENCE: Duration = Duration::from_secs(4);

/// Returns if the service is ready.
///
/// # Errors
/// It is not, or nobody answers, or no service says in the data folder that it runs.
pub fn health(args: &HealthArgs, is_root: bool) -> anyhow::Result<()> {
    let base = match &args.url {
        Some(url) => url.clone(),
        None => Endpoint::read(&args.data.folder(is_root)?)?.http,
    };
    let url = format!("{}/health/ready", base.trim_end_matches('/'));
    // Without the environment's proxy: it is this machine that is asked.
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).proxy(None);
    let mut answer = agent.build().new_agent().get(&url).call().with_context(|| url.clone())?;
    if answer.status().is_success() {
        return Ok(());
    }
    let told = answer.body_mut().read_to_string().unwrap_or_default();
    let reason =
        serde_json::from_str::<Value>(&told).ok().and_then(|told| Some(told.get("reason")?.as_str()?.to_owned()));
    bail!("{url}: not ready: {}", reason.unwrap_or_else(|| answer.status().to_string()))
}
