//! The page deep in the list that is asked for.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::net::TcpStream;

use crate::exchange::exchange;
use crate::processes::{Result, Service};
use crate::signing::Signer;

/// The first page of all.
pub const FIRST: &str = "/rooms?api-version=2025-03-13";
const PAGE: usize = 200;

/// A page by both its names.
pub struct DeepPage {
    /// The target that a client asks for.
    pub target: String,
    /// The room before which it begins.
    pub before: i64,
}

impl DeepPage {
    /// Gets to it as a client does: by the links, from one page to the next.
    pub async fn find(service: &Service) -> Result<Self> {
        let signer = Signer::new(service)?;
        let (mut stream, mut buffer) = (TcpStream::connect(service.address).await?, Vec::new());
        let mut page = Self { target: FIRST.to_owned(), before: i64::MAX };
        for _ in 1..PAGE {
            let request = signer.request("GET", &page.target, "", "");
            let (_, body) = exchange(&mut stream, &request, &mut buffer).await?;
            page = Self::after(&serde_json::from_slice(body)?, service.address).ok_or("a page of another form")?;
        }
        Ok(page)
    }

    fn after(body: &Value, address: SocketAddr) -> Option<Self> {
        let target = body["nextLink"].as_str()?.strip_prefix(&format!("http://{address}"))?.to_owned();
        let before = body["value"].as_array()?.last()?["id"].as_str()?.parse().ok()?;
        Some(Self { target, before })
    }
}
