//! Reads files again while the service runs: on SIGHUP, and when they have changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::signal::unix::Signal;
use tokio::sync::Notify;
use tokio::time::interval;

use super::signals::received;
use crate::telemetry;
use crate::tls::{self, Certificate};

/// How often files are compared with what was read before.
const LOOK: Duration = Duration::from_secs(2);

/// The files and keys that are reloaded.
#[derive(Debug, Default)]
pub struct Reload {
    /// A certificate that is served, and its files.
    pub certificate: Option<(Certificate, PathBuf, PathBuf)>,
    /// A file that holds the filter of the log.
    pub log_filter: Option<PathBuf>,
    /// Wakes what reads the keys of the database.
    pub keys: Arc<Notify>,
}

impl Reload {
    /// Reads again, whenever it is due. A file that can't be used is logged, and what was read before stays. Never
    /// returns.
    pub async fn run(self, mut hangups: Option<Signal>) {
        let (mut look, mut certificate, mut filter) = (interval(LOOK), Seen::default(), Seen::default());
        certificate.is_new(&self.certificate_files()); // that was read at start
        filter.is_new(&self.log_filter.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        loop {
            let is_asked = tokio::select! {
                _ = look.tick() => false,
                () = received(&mut hangups) => true,
            };
            if is_asked {
                tracing::info!("SIGHUP: certificate, keys and log filter are read again");
                self.keys.notify_one();
            }
            if certificate.is_new(&self.certificate_files()) || is_asked {
                self.read_certificate();
            }
            if let Some(file) = &self.log_filter
                && (filter.is_new(&[file]) || is_asked)
            {
                read_filter(file);
            }
        }
    }

    fn certificate_files(&self) -> Vec<&Path> {
        self.certificate.iter().flat_map(|(_, cert, key)| [cert.as_path(), key.as_path()]).collect()
    }

    fn read_certificate(&self) {
        let Some((certificate, cert, key)) = &self.certificate else { return };
        match tls::from_files(cert, key) {
            Ok(read) => {
                certificate.replace(read);
                tracing::info!(file = %cert.display(), "the certificate is read again");
            }
            Err(error) => tracing::warn!(%error, "the certificate can't be read again, and the one before is served"),
        }
    }
}

fn read_filter(file: &Path) {
    match filter(file).map_err(|error| error.to_string()).and_then(|text| telemetry::set_filter(&text)) {
        Ok(()) => tracing::info!(file = %file.display(), "the filter of the log is read again"),
        Err(error) => tracing::warn!(error, file = %file.display(), "the filter of the log stays as it is"),
    }
}

/// The filter in a file.
///
/// # Errors
/// The file can't be read.
pub fn filter(file: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(file)?.trim().to_owned())
}

/// The digest of files as they were read last.
#[derive(Debug, Default)]
struct Seen(Option<Vec<u8>>);

impl Seen {
    /// Whether the files differ from what was seen last. One that is not there, as while it is replaced, is nothing new.
    fn is_new(&mut self, files: &[&Path]) -> bool {
        let mut digest = Sha256::new();
        for file in files {
            let Ok(bytes) = fs::read(file) else { return false };
            digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(&bytes);
        }
        let digest = Some(digest.finalize().to_vec());
        let is_new = self.0 != digest;
        self.0 = digest;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_new_when_its_bytes_have_changed_and_not_while_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cert.pem");
        let mut seen = Seen::default();
        fs::write(&file, "one").unwrap();
        assert!(seen.is_new(&[&file]));
        assert!(!seen.is_new(&[&file]));

        fs::remove_file(&file).unwrap();
        assert!(!seen.is_new(&[&file]));
        fs::write(&file, "two").unwrap();
        assert!(seen.is_new(&[&file]));
        assert!(!seen.is_new(&[&file]));
    }
}
