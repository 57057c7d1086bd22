//! A server for a test, and clients whose next request is signed.

use std::env;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use crate::generated::RoomkeeperClient;

/// A server with a database of its own, for as long as it lives.
pub struct Server {
    process: Child,
    http: String,
    access_key: Vec<u8>,
    _folder: TempDir,
}

impl Server {
    pub fn start() -> Self {
        // Directly under /tmp and open to enter: started by root, the private Postgres runs as another user.
        let folder = tempfile::Builder::new().prefix("roomkeeper-contract-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let binary = env::var("ROOMKEEPER_BIN").unwrap_or_else(|_| "../../../target/debug/roomkeeper".to_owned());
        let mut command = Command::new(binary);
        command
            .args(["--listen", "127.0.0.1:0", "--tls-listen", "off", "--log", "warn", "--data-dir"])
            .arg(folder.path());
        let mut process = command.env_remove("ROOMKEEPER_DATABASE_URL").env("ROOMKEEPER_DRAIN", "0s").stdout(Stdio::piped()).spawn().unwrap();
        let mut announced = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut announced).unwrap();
        assert!(!announced.is_empty(), "the server ended before it was ready");
        let told: Value = serde_json::from_slice(&fs::read(folder.path().join("endpoint.json")).unwrap()).unwrap();
        let access_key = STANDARD.decode(told["accessKey"].as_str().unwrap()).unwrap();
        Self { process, http: told["http"].as_str().unwrap().to_owned(), access_key, _folder: folder }
    }

    /// A generated client that has the signature of this one request: it has no hook that could sign each.
    pub fn client(&self, method: &str, target: &str, body: impl Serialize) -> RoomkeeperClient {
        let body = match serde_json::to_vec(&body).unwrap() {
            text if text == b"\"\"" => Vec::new(), // none
            body => body,
        };
        let host = self.http.strip_prefix("http://").unwrap();
        let (date, hash) = (httpdate::fmt_http_date(SystemTime::now()), STANDARD.encode(Sha256::digest(body)));
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.access_key).unwrap();
        mac.update(format!("{method}\n{target}\n{date};{host};{hash}").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let scheme = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=";
        let client = RoomkeeperClient::with_base_url(&self.http).unwrap();
        client.with_x_ms_date(date).with_x_ms_content_sha256(hash).with_hmac_sha256(format!("{scheme}{signature}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, which std has not: killed, it would leave its Postgres to be stopped by its keeper.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// A user that nobody else uses; rooms take users that the identity service has never seen.
pub fn user() -> String {
    format!("8:acs:{}_{}", Uuid::new_v4(), Uuid::new_v4())
}
