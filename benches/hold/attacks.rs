//! The attacks, and the ceilings that the service has to keep during each.

mod bodies;
mod frames;
mod heads;
mod http2;
mod places;
mod signatures;
mod unread;
mod values;

use std::time::Duration;

use tokio::task::LocalSet;

use crate::cores::Cores;
use crate::processes::Result;
use crate::target::Target;

/// An attack, and how much memory it may cost.
pub struct Attack {
    pub name: &'static str,
    pub what: &'static str,
    /// How long it lasts, with the deadlines of its sockets.
    pub span: Duration,
    /// By how much the resident memory may grow, in MiB.
    pub growth_mib: f64,
    /// Settings of the service for this attack.
    pub settings: &'static [(&'static str, &'static str)],
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Http2,
    SlowFrames,
    FirstHeads,
    SecondHeads,
    Chunks,
    Unread,
    Heartbeats,
    Values,
    Bodies,
    BodiesNeverSent,
    Signatures,
    Places,
}

/// The outcome of an attack.
#[derive(Default)]
pub struct Outcome {
    /// Requests, frames, and pieces of them.
    pub sent: usize,
    /// Sockets that the service still holds when their deadline is over; `None` where they have none.
    pub late: Option<usize>,
    /// Other faults, and how often each was seen.
    pub besides: Vec<(&'static str, usize)>,
}

/// Growth without any attack: buffers of the first connections.
const ANYHOW: f64 = 8.0;
/// The most bytes of a connection and of a request body that are read before a handler takes them
/// (docs/limits.md, Request bodies).
const READ_AHEAD: f64 = 160.0 / 1024.0;
/// The largest head.
const HEAD: f64 = 16.0 / 1024.0;
/// The largest message of a WebSocket.
const MESSAGE: f64 = 0.5;
/// The largest queue of a client that does not read.
const QUEUE: f64 = 1.0;
/// The memory of one client in a live room (`script/bench live`).
const CLIENT: f64 = 25.0 / 1024.0;
/// The data of all members of a room, and the messages that the room keeps.
const ROOM: f64 = 2.0 + 3.0;

const fn attack(name: &'static str, what: &'static str, seconds: u64, growth_mib: f64, kind: Kind) -> Attack {
    let growth_mib = ANYHOW + growth_mib;
    Attack { name, what, span: Duration::from_secs(seconds), growth_mib, settings: &[], kind }
}

pub const ATTACKS: [Attack; 12] = [
    attack("http2", "1,000 connections that want HTTP/2", 14, HEAD * 256.0, Kind::Http2),
    attack(
        "frames",
        "200 WebSockets, frames that claim 2^40 bytes or 500 KiB, sent slowly",
        36,
        (MESSAGE + CLIENT) * 200.0,
        Kind::SlowFrames,
    ),
    attack("first-heads", "400 sockets, a byte a second of a first head", 9, HEAD * 400.0, Kind::FirstHeads),
    attack("second-heads", "400 sockets, a byte a second of a second head", 14, HEAD * 400.0, Kind::SecondHeads),
    attack("chunks", "400 sockets, a chunk a second after the answer", 9, READ_AHEAD * 400.0, Kind::Chunks),
    attack("unread", "400 sockets, pages asked for and never read", 63, READ_AHEAD * 400.0, Kind::Unread),
    attack("heartbeats", "40 WebSockets, heartbeats of 500 KB and never read", 36, QUEUE * 40.0, Kind::Heartbeats),
    attack(
        "values",
        "100 clients of a room, 15 KB of tiny JSON values as presence and messages, and attached again and again",
        12,
        (QUEUE + CLIENT) * 100.0 + ROOM,
        Kind::Values,
    ),
    attack("bodies", "300 bodies of 1 MiB, wrongly signed", 9, READ_AHEAD * 300.0, Kind::Bodies),
    attack("no-bodies", "the same, and the bodies never sent", 9, READ_AHEAD * 300.0, Kind::BodiesNeverSent),
    attack("signatures", "wrong signatures as fast as one connection takes them", 10, 0.0, Kind::Signatures),
    Attack {
        settings: &[("ROOMKEEPER_MAX_CONNECTIONS", "1000")],
        ..attack(
            "places",
            "of 1,000 places, one token takes as many as it can, and drops 2,000",
            12,
            CLIENT * 3_000.0,
            Kind::Places,
        )
    },
];

/// Attacks, on the core of the attackers.
pub fn run(attack: &Attack, target: &Target<'_>, cores: Cores) -> Result<Outcome> {
    cores.attack()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let attacking = async {
        match attack.kind {
            Kind::Http2 => http2::attack(target).await,
            Kind::SlowFrames => frames::claim(target).await,
            Kind::FirstHeads => heads::first(target).await,
            Kind::SecondHeads => heads::second(target).await,
            Kind::Chunks => bodies::chunks(target).await,
            Kind::Unread => unread::pages(target).await,
            Kind::Heartbeats => unread::heartbeats(target).await,
            Kind::Values => values::attack(target).await,
            Kind::Bodies => bodies::wrongly_signed(target, true).await,
            Kind::BodiesNeverSent => bodies::wrongly_signed(target, false).await,
            Kind::Signatures => signatures::attack(target, attack.span).await,
            Kind::Places => places::attack(target).await,
        }
    };
    runtime.block_on(LocalSet::new().run_until(attacking))
}
