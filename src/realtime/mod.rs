//! Who is in which room now, and telling them: in memory, on this node; no wire forms.

mod channel;
mod connection;
mod doors;
mod event;
mod hub;
mod memory;
mod occupancy;
mod order;
mod outbox;
mod payload;
mod presence;
mod registry;
mod replay;
mod schedule;
mod serial;
mod session;
mod share;

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::time::Duration;

use bitflags::bitflags;

pub use connection::{ConnectionId, Identity, NotResumed, Owner, Rate};
pub use doors::{Entry, Grant, Inside, Named, Read, Room, Seen, Who};
pub use event::{Attached, Event, Heard, Message, PresenceAction, PresenceItem, Told};
pub use hub::{Full, Hub, Place};
pub use order::SPARE as SPARE_MILLIS;
pub use outbox::{Batch, End, Outbox, Tell};
pub use payload::{Data, Payload, Raw};
pub use session::{Answer, Attach, Attaching, Known, LONGEST_CLIENT_ID, NewMessage, NewPresence, Refusal, Session};

bitflags! {
    /// What an attachment may do in its room.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Modes: u8 {
        const PRESENCE = 1;
        const PUBLISH = 1 << 1;
        const SUBSCRIBE = 1 << 2;
        const PRESENCE_SUBSCRIBE = 1 << 3;
        const ANNOTATION_PUBLISH = 1 << 5;
        const ANNOTATION_SUBSCRIBE = 1 << 6;
    }
}

/// What a client can make large, and how often it is told.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Clients connected to this node.
    pub connections: usize,
    pub rooms_per_connection: usize,
    pub members_per_room: usize,
    /// Connections of one client, those that can be resumed included.
    pub connections_per_client: usize,
    /// Bytes that wait for all clients together.
    pub output_memory: usize,
    /// Bytes that the members of all rooms take in memory.
    pub presence_memory: usize,
    /// The most bytes of recent events that all rooms keep together; beyond them, an active room keeps few.
    pub replay_memory: usize,
    /// Bytes of the messages, or of the presence data, of one frame.
    pub message_size: usize,
    /// Published messages and presence updates a second.
    pub rate_per_connection: NonZeroU32,
    /// The same in a room, of all its connections, each of which has a fair share. Members that enter are counted
    /// apart: beyond a burst they wait, and are not refused.
    pub rate_per_room: NonZeroU32,
    /// The shortest time between two occupancy updates of a room.
    pub occupancy_interval: Duration,
}

/// How long a connection that broke off can be resumed (ably-chat.md, section 3.9).
pub const RESUMABLE_FOR: Duration = Duration::from_secs(120);
