//! The service itself, with all that it does in production.

use std::fs;
use std::path::Path;

use crate::peer::Peer;
use crate::postgres::Postgres;
use crate::processes::{Result, Service};
use crate::rooms;
use crate::signing::Signer;

pub const NOTES: &str = "\
    Every request is signed and checked; a create comes with a request id, and its answer is remembered in the same \
    statement. Create: `POST /rooms`. Get: `GET /rooms/{id}`. List: `GET /rooms`. Patch: `PATCH \
    /rooms/{id}/participants` with one that is added. At most 20 connections to Postgres.";

pub async fn start(folder: &Path, rooms: u32) -> Result<Peer> {
    let postgres = Postgres::start(folder)?;
    let service = Service::start(folder, Some(&postgres.url), &[])?;
    rooms::fill(&postgres.url, rooms).await?;
    let id = fs::read_to_string(service.proc("stat"))?;
    let signer = Signer::new(&service)?;
    Ok(Peer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        address: service.address,
        service: id.split(' ').next().unwrap_or_default().parse()?,
        database: Some(rooms::postmaster(folder)?),
        requests: Box::new(move |operation, count| Some(rooms::signed(&signer, operation, rooms, count))),
        _runs: Box::new((service, postgres)),
    })
}
