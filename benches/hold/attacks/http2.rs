//! HTTP/2 is not served: neither offered by TLS, nor to who just begins with it.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::Outcome;
use crate::processes::Result;
use crate::target::Target;
use crate::wire;

const CONNECTIONS: usize = 1_000;
const EVERY: Duration = Duration::from_millis(10);
/// For a handshake, or for an answer; longer than the service waits for a head.
const PATIENCE: Duration = Duration::from_secs(4);
/// For the head of a first request.
const DEADLINE: Duration = Duration::from_secs(2);
/// The connection preface of an HTTP/2 client, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

pub async fn attack(target: &Target<'_>) -> Result<Outcome> {
    let [alone, first, without] =
        [&[&b"h2"[..]][..], &[b"h2", b"http/1.1"], &[]].map(|protocols| connector(target, protocols));
    let (alone, first, without) = (alone?, first?, without?);
    let (mut attempts, mut ticks) = (Vec::new(), interval(EVERY));
    for number in 0..CONNECTIONS {
        ticks.tick().await;
        let (address, https) = (target.address, target.https);
        let tls = match number % 4 {
            0 => Some((alone.clone(), false)),
            1 => Some((first.clone(), false)),
            2 => Some((without.clone(), true)),
            _ => None,
        };
        attempts.push(spawn_local(async move {
            let attempt = async {
                let Some((connector, speaks)) = tls else {
                    let mut tcp = TcpStream::connect(address).await?;
                    return Ok((is_http2(&mut tcp).await, tcp));
                };
                let tcp = TcpStream::connect(https).await?;
                let name = ServerName::IpAddress(https.ip().into());
                let mut tls = connector.connect(name, tcp).await?;
                let is_agreed = tls.get_ref().1.alpn_protocol() == Some(b"h2");
                let is_spoken = speaks && is_http2(&mut tls).await;
                Ok::<_, std::io::Error>((is_agreed || is_spoken, tls.into_inner().0))
            };
            timeout(2 * PATIENCE, attempt).await
        }));
    }
    let (mut agreed, mut sockets) = (0, Vec::new());
    for attempt in attempts {
        // One that failed was refused.
        if let Ok(Ok((is_http2, socket))) = attempt.await? {
            agreed += usize::from(is_http2);
            sockets.push(socket);
        }
    }
    sleep(DEADLINE + wire::GRACE).await;
    let late = wire::held(target, &wire::ports(&sockets)?)?;
    Ok(Outcome { sent: CONNECTIONS, late: Some(late), besides: vec![("HTTP/2 spoken", agreed)] })
}

fn connector(target: &Target<'_>, protocols: &[&[u8]]) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&target.ca_file)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Whether the preface is answered by a frame of HTTP/2.
async fn is_http2(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> bool {
    let mut answer = [0; 9];
    let exchange = async {
        stream.write_all(PREFACE).await?;
        stream.read_exact(&mut answer).await
    };
    matches!(timeout(PATIENCE, exchange).await, Ok(Ok(_))) && !answer.starts_with(b"HTTP/1.")
}
