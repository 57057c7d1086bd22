//! What a started service tells: on stdout, and in `endpoint.json` in the data folder (design, section 1).

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// How this service is reached. The names of the members are part of the run contract.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub http: String,
    pub https: Option<String>,
    pub access_key: String,
    /// Over https; `None` where that is off.
    pub connection_string: Option<String>,
    pub http_connection_string: String,
    /// The CA that clients have to trust, if the certificate is our own.
    pub ca_file: Option<PathBuf>,
    pub ably_key: String,
    pub pid: u32,
}

impl Endpoint {
    /// From the listeners' addresses.
    pub fn new(
        http: SocketAddr,
        https: Option<SocketAddr>,
        access_key: &str,
        resource: &str,
        ca_file: Option<PathBuf>,
    ) -> Self {
        let http = format!("http://{}", reachable(http));
        let https = https.map(|address| format!("https://{}", reachable(address)));
        Self {
            connection_string: https.as_ref().map(|https| connection_string(https, access_key)),
            http_connection_string: connection_string(&http, access_key),
            access_key: access_key.to_owned(),
            ca_file,
            ably_key: format!("{resource}.primary:{access_key}"),
            pid: std::process::id(),
            http,
            https,
        }
    }

    /// What the service of a data folder told.
    ///
    /// # Errors
    /// No service runs there.
    pub fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let path = path(data_dir);
        let text = fs::read(&path).with_context(|| format!("no service runs here: {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    /// The lines for a person. The key is shown only if it is no secret.
    pub fn announcement(&self, key_is_secret: bool) -> String {
        let string = |whole: &str| match key_is_secret {
            true => whole.replace(&self.access_key, "<your access key>"),
            false => whole.to_owned(),
        };
        let mut lines = vec![format!("roomkeeper {} is ready", env!("CARGO_PKG_VERSION"))];
        lines.push(format!("  {}", self.http));
        lines.push(format!("    {}", string(&self.http_connection_string)));
        if let (Some(https), Some(whole)) = (&self.https, &self.connection_string) {
            lines.push(format!("  {https}"));
            lines.push(format!("    {}", string(whole)));
        }
        if key_is_secret {
            lines.push("  with your access key in full, in endpoint.json in the data folder".to_owned());
        }
        if let Some(file) = &self.ca_file {
            lines.push(format!("  clients trust {}", file.display()));
        }
        lines.join("\n")
    }

    /// Writes the file, whole or not at all, for the owner alone.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        let partial = data_dir.join(format!("endpoint.json.{}", self.pid));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(partial, path(data_dir))
    }

    /// Removes the file, unless another instance has written its own since.
    pub fn remove(&self, data_dir: &Path) {
        let path = path(data_dir);
        let is_ours = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .is_some_and(|endpoint| endpoint.pid == self.pid);
        if is_ours && let Err(error) = fs::remove_file(&path) {
            tracing::warn!(%error, file = %path.display(), "can't be removed");
        }
    }
}

/// Where the file is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("endpoint.json")
}

fn connection_string(endpoint: &str, access_key: &str) -> String {
    format!("endpoint={endpoint}/;accesskey={access_key}")
}

/// The address by which a listener is called from this machine: «all addresses» is none.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
