//! What clients are told of a room.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::Modes;
use super::connection::ConnectionId;
use crate::domain::door::Refused;
use crate::domain::occupancy::Occupancy;

/// What a client says or keeps with its presence; passed on as it came.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Text(String),
    Binary(Vec<u8>),
    Json(Value),
}

/// Data, how it is to be decoded, and what goes with it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Payload {
    pub data: Option<Data>,
    pub encoding: Option<String>,
    pub extras: Option<Map<String, Value>>,
}

impl Payload {
    /// Bytes, about as they go out.
    pub fn size(&self) -> usize {
        let data = self.data.as_ref().map_or(0, |data| match data {
            Data::Text(text) => text.len(),
            Data::Binary(bytes) => bytes.len(),
            Data::Json(value) => size_of(value),
        });
        let extras =
            self.extras.as_ref().map_or(0, |extras| extras.iter().map(|(k, v)| k.len() + size_of(v) + 4).sum());
        data + extras + self.encoding.as_ref().map_or(0, String::len)
    }
}

fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(size_of).sum::<usize>() + VALUE,
        Value::Object(members) => members.iter().map(|(k, v)| k.len() + size_of(v)).sum::<usize>() + VALUE,
        _ => VALUE,
    }
}

/// What a value takes in memory at least.
const VALUE: usize = 32;
/// What surrounds what a client said.
const FRAME: usize = 200;

/// A published message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub id: String,
    pub client_id: Option<Arc<str>>,
    pub name: Option<String>,
    pub payload: Payload,
    /// `None` for what is ephemeral.
    pub serial: Option<String>,
}

impl Message {
    fn size(&self) -> usize {
        let text = |text: Option<usize>| text.unwrap_or(0);
        let names = text(self.client_id.as_ref().map(|id| id.len())) + text(self.name.as_ref().map(String::len));
        self.payload.size() + names + FRAME
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceAction {
    Present,
    Enter,
    Leave,
    Update,
}

/// A member, or what it did.
#[derive(Debug, Clone, PartialEq)]
pub struct PresenceItem {
    pub id: String,
    pub action: PresenceAction,
    pub connection: ConnectionId,
    pub client_id: Arc<str>,
    pub payload: Payload,
    pub timestamp: DateTime<Utc>,
}

impl PresenceItem {
    /// Bytes, about as it goes out.
    pub fn size(&self) -> usize {
        self.payload.size() + self.client_id.len() + FRAME
    }
}

/// How a client was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    pub modes: Modes,
    /// Members follow.
    pub has_presence: bool,
    /// Nothing is missing since the client was here before.
    pub resumed: bool,
    /// Something is: the client asked for what is not kept any more.
    pub continuity_lost: bool,
    /// It gets occupancy updates.
    pub occupancy: bool,
    pub serial: String,
}

/// One thing that a client is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Attached(Attached),
    /// The client is in the room no more.
    Ejected(Refused),
    Messages {
        from: ConnectionId,
        id: String,
        serial: Option<String>,
        messages: Vec<Message>,
    },
    Presence {
        /// `None` for what the service does by itself.
        from: Option<ConnectionId>,
        id: String,
        serial: String,
        items: Vec<PresenceItem>,
    },
    /// A page of who is there.
    Sync {
        /// `<id of the snapshot>:<where it goes on>`.
        cursor: String,
        items: Vec<PresenceItem>,
    },
    Occupancy {
        id: String,
        now: Occupancy,
    },
}

/// An event of a room, rendered at most once a format and name, however many are told.
pub struct Told {
    pub channel: Arc<str>,
    pub at: DateTime<Utc>,
    pub event: Event,
    forms: [OnceLock<Bytes>; 2 * Told::FORMS],
}

/// What one client is told, by the name that it knows the channel by.
#[derive(Debug, Clone)]
pub struct Heard {
    pub told: Arc<Told>,
    /// Where that is not the channel's own: a room that has a name is entered by its id, too.
    pub alias: Option<Arc<str>>,
}

impl Heard {
    /// The name of the channel, as the client knows it.
    pub fn channel(&self) -> &Arc<str> {
        self.alias.as_ref().unwrap_or(&self.told.channel)
    }

    /// As it goes out in the protocol's `form`-th format, made by `render` the first time.
    pub fn form(&self, form: usize, render: impl FnOnce(&Self) -> Bytes) -> Bytes {
        // All who know the channel by another name know it by the same: the id of its room.
        let place = if self.alias.is_some() { form + Told::FORMS } else { form };
        match self.told.forms.get(place) {
            Some(rendered) => rendered.get_or_init(|| render(self)).clone(),
            None => render(self),
        }
    }
}

impl Told {
    /// How many formats a protocol can have.
    pub const FORMS: usize = 2;

    /// Something that happened in a channel.
    pub fn new(channel: Arc<str>, at: DateTime<Utc>, event: Event) -> Self {
        Self { channel, at, event, forms: Default::default() }
    }

    /// Bytes, about as it goes out.
    pub fn size(&self) -> usize {
        let of_items = |items: &[PresenceItem]| items.iter().map(PresenceItem::size).sum::<usize>();
        FRAME
            + match &self.event {
                Event::Attached(_) | Event::Ejected(_) | Event::Occupancy { .. } => 0,
                Event::Messages { messages, .. } => messages.iter().map(Message::size).sum(),
                Event::Presence { items, .. } | Event::Sync { items, .. } => of_items(items),
            }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("channel", &self.channel).field("event", &self.event).finish_non_exhaustive()
    }
}
