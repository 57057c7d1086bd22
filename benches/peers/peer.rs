//! Who is measured, and what each is asked for.

use std::any::Any;
use std::net::SocketAddr;
use std::path::Path;

use clap::ValueEnum;

use crate::processes::Result;
use crate::{ejabberd, fastify, ours, pocketbase};

/// What is measured. Those that only read come first, on the rooms that there are to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Get,
    List,
    Create,
    Patch,
}

impl Operation {
    pub const ALL: [Self; 4] = [Self::Get, Self::List, Self::Create, Self::Patch];

    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get a room",
            Self::List => "list a first page of 30",
            Self::Create => "create a room with 3 participants",
            Self::Patch => "patch one participant",
        }
    }

    /// True if the same request twice is not the same work.
    pub fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Patch)
    }
}

/// So many whole requests, each different where it writes; none if the peer has nothing like it.
type Requests = dyn Fn(Operation, usize) -> Option<Vec<Vec<u8>>>;

/// A peer that runs, on rooms that were made for it. It ends when this is dropped, with all that it started.
pub struct Peer {
    pub version: String,
    pub address: SocketAddr,
    /// Its process; those below it count, too.
    pub service: u32,
    /// That of its database, where it has one of its own.
    pub database: Option<u32>,
    pub requests: Box<Requests>,
    /// What ends.
    pub _runs: Box<dyn Any>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    Roomkeeper,
    Fastify,
    Pocketbase,
    Ejabberd,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Roomkeeper, Self::Fastify, Self::Pocketbase, Self::Ejabberd];

    pub fn name(self) -> &'static str {
        match self {
            Self::Roomkeeper => "Roomkeeper",
            Self::Fastify => "Fastify with pg",
            Self::Pocketbase => "PocketBase",
            Self::Ejabberd => "ejabberd",
        }
    }

    /// Starts it in a folder that is empty, and makes so many rooms, with nobody on their rosters.
    pub async fn start(self, installed: &Path, folder: &Path, rooms: u32) -> Result<Peer> {
        match self {
            Self::Roomkeeper => ours::start(folder, rooms).await,
            Self::Fastify => fastify::start(&installed.join("fastify"), folder, rooms).await,
            Self::Pocketbase => pocketbase::start(&installed.join("pocketbase"), folder, rooms).await,
            Self::Ejabberd => ejabberd::start(&installed.join("ejabberd"), folder, rooms).await,
        }
    }

    /// Whether what it acknowledged is on disk.
    pub fn is_on_disk(self) -> &'static str {
        match self {
            Self::Roomkeeper | Self::Fastify => "yes: fsync before the answer",
            Self::Pocketbase => "no: fsync at a checkpoint",
            Self::Ejabberd => "no: written later, no fsync",
        }
    }

    /// How its requests map to the operations, and what its figures stand for.
    pub fn notes(self) -> &'static str {
        match self {
            Self::Roomkeeper => ours::NOTES,
            Self::Fastify => fastify::NOTES,
            Self::Pocketbase => pocketbase::NOTES,
            Self::Ejabberd => ejabberd::NOTES,
        }
    }
}
