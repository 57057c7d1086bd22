//! What a backend engineer would write by hand: Fastify with pg, in the folder of this name.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::group::Group;
use crate::peer::Peer;
use crate::postgres::Postgres;
use crate::processes::{Result, Service};
use crate::rooms;
use crate::signing::Signer;

pub const NOTES: &str = "\
    By hand, in `benches/peers/fastify`: the same requests on the same tables with the same statements, named; bodies \
    checked and answers written by a schema, signatures checked, creates remembered; a worker a core. Postgres as \
    above, with as many connections. Nothing is logged, and there are no live rooms to tell.";

pub async fn start(installed: &Path, folder: &Path, rooms: u32) -> Result<Peer> {
    let package = fs::read(installed.join("node_modules/fastify/package.json")).map_err(|_| "not installed")?;
    let package: Value = serde_json::from_slice(&package)?;
    let postgres = Postgres::start(folder)?;
    // The service makes the tables, the resource and its key, and goes.
    let key = Service::start(folder, Some(&postgres.url), &[])?.says("accessKey")?.to_owned();
    rooms::fill(&postgres.url, rooms).await?;

    let mut command = Command::new("node");
    command.arg(installed.join("server.js")).env("NODE_ENV", "production");
    command.env("DATABASE_URL", &postgres.url).env("ACCESS_KEY", &key);
    let (group, address) = Group::start_saying(&mut command, folder)?;
    let signer = Signer::with(&key, address)?;
    Ok(Peer {
        version: package["version"].as_str().unwrap_or_default().to_owned(),
        address,
        service: group.id(),
        database: Some(rooms::postmaster(folder)?),
        requests: Box::new(move |operation, count| Some(rooms::signed(&signer, operation, rooms, count))),
        _runs: Box::new((group, postgres)),
    })
}
