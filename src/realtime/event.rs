//! What clients are told of a room.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::Modes;
use super::connection::ConnectionId;
use super::memory::Kept;
use super::payload::{ALLOCATION, Payload};
use crate::budget::{Budget, Shared};
use crate::domain::door::Refused;
use crate::domain::occupancy::Occupancy;

/// What surrounds what a client said.
const FRAME: usize = 200;
/// The longest id of an item, about.
const ID: usize = 40;

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
        let names = [self.client_id.as_deref(), self.name.as_deref()];
        self.payload.size() + names.into_iter().flatten().map(str::len).sum::<usize>() + FRAME
    }

    fn memory(&self) -> usize {
        let texts = [Some(&*self.id), self.client_id.as_deref(), self.name.as_deref(), self.serial.as_deref()];
        let texts: usize = texts.into_iter().flatten().map(|text| text.len() + ALLOCATION).sum();
        size_of::<Self>() + texts + self.payload.memory()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceAction {
    Enter,
    Leave,
    Update,
}

/// What a member did last: that it entered, say. Members, and what is told of them, share it.
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
        Self::size_with(&self.payload, &self.client_id)
    }

    /// The same before there is one.
    pub fn size_with(payload: &Payload, client_id: &str) -> usize {
        payload.size() + client_id.len() + FRAME
    }

    /// Bytes that it takes in memory.
    pub fn memory(&self) -> usize {
        Self::memory_with(&self.payload, &self.client_id)
    }

    /// The same before there is one.
    pub fn memory_with(payload: &Payload, client_id: &str) -> usize {
        let texts = ID + client_id.len() + 2 * ALLOCATION;
        size_of::<Self>() + ALLOCATION + texts + payload.memory()
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
        items: Vec<Arc<PresenceItem>>,
    },
    /// A page of who is there.
    Sync {
        /// `<id of the snapshot>:<where it goes on>`.
        cursor: String,
        items: Vec<Arc<PresenceItem>>,
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
    counted: Mutex<Counted>,
}

/// What of an event is counted, and where, while a room keeps it.
#[derive(Default)]
struct Counted {
    /// Bytes of its forms, and of the event itself once it is kept.
    bytes: usize,
    by: Option<Arc<Kept>>,
    /// While no room keeps it, those who are still to be told do.
    waiting: Option<Shared>,
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
            Some(rendered) => {
                let render = || {
                    let rendered = render(self);
                    self.told.count_form(rendered.len());
                    rendered
                };
                rendered.get_or_init(render).clone()
            }
            None => render(self),
        }
    }
}

impl Told {
    /// How many formats a protocol can have.
    pub const FORMS: usize = 2;

    /// Something that happened in a channel.
    pub fn new(channel: Arc<str>, at: DateTime<Utc>, event: Event) -> Self {
        Self { channel, at, event, forms: Default::default(), counted: Mutex::default() }
    }

    /// Bytes, about as it goes out.
    pub fn size(&self) -> usize {
        FRAME
            + match &self.event {
                Event::Attached(_) | Event::Ejected(_) | Event::Occupancy { .. } => 0,
                Event::Messages { messages, .. } => messages.iter().map(Message::size).sum(),
                Event::Presence { items, .. } | Event::Sync { items, .. } => items.iter().map(|item| item.size()).sum(),
            }
    }

    /// Counts what it takes in memory as kept by a room, its forms as they are rendered.
    pub fn count(&self, by: &Arc<Kept>) {
        let mut counted = self.counted();
        if counted.by.is_none() {
            counted.waiting = None;
            counted.bytes += self.memory();
            by.add(counted.bytes);
            counted.by = Some(Arc::clone(by));
        }
    }

    /// Counts what it takes in memory as waiting for those who are to be told, unless a room keeps it.
    pub fn count_waiting(&self, output: &Budget) {
        let own = match &self.event {
            Event::Sync { .. } => size_of::<Self>(), // its members count for the queue that it is in
            _ => self.memory(),
        };
        let mut counted = self.counted();
        if counted.by.is_none() {
            counted.waiting = Some(output.shared(own + counted.bytes));
        }
    }

    /// The room does not keep it any more; those who are still to be told may.
    pub fn count_no_more(self: &Arc<Self>, output: &Budget) {
        let mut counted = self.counted();
        if let Some(by) = counted.by.take() {
            by.sub(counted.bytes);
            let is_awaited = Arc::strong_count(self) > 1;
            counted.waiting = is_awaited.then(|| output.shared(counted.bytes));
        }
    }

    fn count_form(&self, bytes: usize) {
        let mut counted = self.counted();
        counted.bytes += bytes + ALLOCATION;
        if let Some(by) = &counted.by {
            by.add(bytes + ALLOCATION);
        } else if let Some(waiting) = &mut counted.waiting {
            waiting.grow(bytes + ALLOCATION);
        }
    }

    fn memory(&self) -> usize {
        let of_texts = |texts: [&str; 2]| texts.map(|text| text.len() + ALLOCATION).iter().sum::<usize>();
        let of_items = |items: &[Arc<PresenceItem>]| {
            let each = items.iter().map(|item| item.memory() + size_of::<Arc<PresenceItem>>());
            each.sum::<usize>() + ALLOCATION
        };
        let of_event = match &self.event {
            Event::Attached(_) | Event::Ejected(_) | Event::Occupancy { .. } => 0,
            Event::Messages { id, serial, messages, .. } => {
                let messages = messages.iter().map(Message::memory).sum::<usize>() + ALLOCATION;
                of_texts([id, serial.as_deref().unwrap_or("")]) + messages
            }
            Event::Presence { id, serial, items, .. } => of_texts([id, serial]) + of_items(items),
            Event::Sync { cursor, items } => of_texts([cursor, ""]) + of_items(items),
        };
        size_of::<Self>() + ALLOCATION + of_event
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("channel", &self.channel).field("event", &self.event).finish_non_exhaustive()
    }
}
