//! HTTPS: a certificate that was given, or one for this machine from a private CA in the data folder.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Why there is no HTTPS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {source}", .file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("{}: {source}", .file.display())]
    Pem { file: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    #[error("the certificate authority in {} can't be used ({source}): remove the folder and a new one is made", .folder.display())]
    Authority { folder: PathBuf, source: rcgen::Error },
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the certificate and its key: {0}")]
    Pair(#[from] rustls::Error),
}

/// A chain and its key from PEM files.
pub fn from_files(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let told = |file: &Path| {
        let file = file.to_owned();
        move |source| TlsError::Pem { file, source }
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(told(cert))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(cert.to_owned()));
    }
    certified(chain, PrivateKeyDer::from_pem_file(key).map_err(told(key))?)
}

/// Where the CA's certificate is, for clients to trust, once [`for_this_machine`] made it.
pub fn ca_file(data_dir: &Path) -> PathBuf {
    data_dir.join("tls").join("ca.pem")
}

/// A certificate for localhost, 127.0.0.1 and ::1. The CA is made once and kept, so that a client that
/// trusts it goes on doing so; the certificate is new at each start and never runs out in between.
pub fn for_this_machine(data_dir: &Path, now: DateTime<Utc>) -> Result<CertifiedKey, TlsError> {
    let folder = data_dir.join("tls");
    let (ca, key) = (ca_file(data_dir), folder.join("ca.key"));
    if !ca.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&folder)
            .map_err(|source| TlsError::File { file: folder.clone(), source })?;
        let authority = KeyPair::generate()?;
        write(&key, 0o600, &authority.serialize_pem())?;
        write(&ca, 0o644, &authority_params(now)?.self_signed(&authority)?.pem())?; // last: it tells that all is there
    }
    let unusable = |source| TlsError::Authority { folder: folder.clone(), source };
    let authority = KeyPair::from_pem(&read(&key)?).map_err(unusable)?;
    let issuer = Issuer::from_ca_cert_pem(&read(&ca)?, authority).map_err(unusable)?;
    let key = KeyPair::generate()?;
    let cert = leaf_params(now)?.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    certified(vec![cert.der().clone()], key)
}

fn authority_params(now: DateTime<Utc>) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Roomkeeper private CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, now, TimeDelta::days(20 * 365));
    Ok(params)
}

/// With an authority key identifier: Python from 3.13 on insists.
fn leaf_params(now: DateTime<Utc>) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        params.subject_alt_names.push(SanType::IpAddress(ip));
    }
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, now, TimeDelta::days(10 * 365));
    Ok(params)
}

fn valid_for(params: &mut CertificateParams, now: DateTime<Utc>, span: TimeDelta) {
    let day = |at: DateTime<Utc>| date_time_ymd(at.year(), at.month() as u8, at.day() as u8);
    params.not_before = day(now - TimeDelta::days(1));
    params.not_after = day(now + span);
}

fn certified(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, TlsError> {
    Ok(CertifiedKey::from_der(chain, key, &default_provider())?)
}

/// The certificate that handshakes are answered with. It can be replaced while the service runs.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<RwLock<Arc<CertifiedKey>>>);

impl Certificate {
    /// Answers with `key` until it is replaced.
    pub fn new(key: CertifiedKey) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(key))))
    }

    /// Answers handshakes that begin from now on with `key`. Connections that there are go on.
    pub fn replace(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }

    /// The configuration of a listener that serves this certificate.
    pub fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let config = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(file: &Path) -> Result<String, TlsError> {
    fs::read_to_string(file).map_err(|source| TlsError::File { file: file.to_owned(), source })
}

fn write(file: &Path, mode: u32, text: &str) -> Result<(), TlsError> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let _ = fs::remove_file(&partial); // of a process that was killed; its mode would stay
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&partial)
        .and_then(|mut f| f.write_all(text.as_bytes()).and_then(|()| f.sync_all()))
        .and_then(|()| fs::rename(&partial, file));
    written.map_err(|source| TlsError::File { file: file.to_owned(), source })
}
