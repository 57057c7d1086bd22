//! The managed rooms that somebody is in: who was let in by their roster, and is judged again when it changes.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::Modes;
use super::channel::Channel;
use super::connection::ConnectionId;
use super::event::PresenceItem;
use super::hub::Hub;
use crate::domain::door::{Door, Refused};
use crate::domain::resource::ResourceId;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::validity::Validity;

/// The managed rooms of this node.
pub(super) struct Doors {
    /// Counts changes, of a room and of those that share its place here.
    turns: Vec<AtomicU64>,
    open: Mutex<HashMap<Room, Open>>,
}

type Room = (ResourceId, RoomId);

/// A managed room that somebody is in.
struct Open {
    channels: Vec<Arc<Channel>>,
    seen: (Validity, i64),
}

/// Who is in a managed room.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Connections; one is counted once, also if it is attached twice.
    pub connections: u32,
    /// Members that are present.
    pub members: u32,
    /// Of each connection that the roster let in, whose it is.
    pub users: Vec<Arc<str>>,
}

/// With what somebody enters a managed room.
#[derive(Debug, Clone)]
pub struct Entry {
    pub room: RoomId,
    /// Whom the roster let in; `None` for a backend, which it does not concern.
    pub user: Option<Arc<str>>,
    /// The window and the roster's version by which it was decided.
    pub seen: (Validity, i64),
    /// [`Hub::turn`], asked before that was read.
    pub turn: u64,
}

/// What a role's holder may do in a live room.
pub fn modes_of(role: Role) -> Modes {
    let may = role.may();
    let mut modes = Modes::SUBSCRIBE | Modes::PRESENCE_SUBSCRIBE | Modes::ANNOTATION_SUBSCRIBE;
    modes.set(Modes::PUBLISH | Modes::ANNOTATION_PUBLISH, may.publish);
    modes.set(Modes::PRESENCE, may.be_present);
    modes
}

const PLACES: usize = 256;

impl Default for Doors {
    fn default() -> Self {
        Self { turns: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), open: Mutex::default() }
    }
}

impl Doors {
    fn place(&self, room: Room) -> Option<&AtomicU64> {
        let mut hasher = DefaultHasher::new();
        (room.0, room.1).hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
        self.turns.get(place)
    }

    /// Before an attachment is made: whoever judges the room again then looks into this channel, too.
    pub(super) fn register(&self, resource: ResourceId, entry: &Entry, channel: &Arc<Channel>) {
        let mut open = self.lock();
        let inside =
            open.entry((resource, entry.room)).or_insert_with(|| Open { channels: Vec::new(), seen: entry.seen });
        if !inside.channels.iter().any(|known| Arc::ptr_eq(known, channel)) {
            inside.channels.push(Arc::clone(channel));
        }
    }

    /// A channel was let go of.
    pub(super) fn forget(&self, channel: &Arc<Channel>) {
        self.lock().retain(|(resource, _), inside| {
            if *resource == channel.resource() {
                inside.channels.retain(|known| !Arc::ptr_eq(known, channel));
            }
            !inside.channels.is_empty()
        });
    }

    fn channels(&self, room: Room) -> Vec<Arc<Channel>> {
        self.lock().get(&room).map_or_else(Vec::new, |inside| inside.channels.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Room, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// Counts the changes of a managed room: to be asked before its roster is read, and given with
    /// what was decided by that. What was read before a change lets nobody in after it.
    pub fn turn(&self, resource: ResourceId, room: RoomId) -> u64 {
        self.doors.place((resource, room)).map_or(0, |turn| turn.load(Ordering::SeqCst))
    }

    /// A managed room was changed: who is to be judged again by its roster, and whether anybody is inside at all.
    pub fn changed(&self, resource: ResourceId, room: RoomId) -> Option<Vec<Arc<str>>> {
        if let Some(turn) = self.doors.place((resource, room)) {
            turn.fetch_add(1, Ordering::SeqCst);
        }
        let channels = self.doors.channels((resource, room));
        let users: HashSet<Arc<str>> = channels.iter().flat_map(|channel| channel.users()).collect();
        (!channels.is_empty()).then(|| users.into_iter().collect())
    }

    /// Judges all who are inside by `door`, or by there being none: who may not be inside any more
    /// is told so and leaves, and who may do other things than before is told that.
    pub fn judge(&self, resource: ResourceId, room: RoomId, door: Option<&Door>, now: DateTime<Utc>) {
        if let Some(door) = door
            && let Some(inside) = self.doors.lock().get_mut(&(resource, room))
        {
            inside.seen = (door.validity, door.version);
        }
        for channel in self.doors.channels((resource, room)) {
            channel.judge(self, |user| match (door, user) {
                (None, _) => Err(Refused::NoSuchRoom),
                (Some(_), None) => Ok(Modes::all()),
                (Some(door), Some(user)) => door.admit(user, now).map(modes_of),
            });
        }
    }

    /// Who is in a managed room now.
    pub fn inside(&self, resource: ResourceId, room: RoomId) -> Inside {
        let channels = self.doors.channels((resource, room));
        let connections: HashMap<ConnectionId, Option<Arc<str>>> =
            channels.iter().flat_map(|channel| channel.connections()).collect();
        let member = |item: PresenceItem| (item.connection, item.client_id);
        let members: HashSet<_> = channels.iter().flat_map(|channel| channel.members()).map(member).collect();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Inside {
            connections: count(connections.len()),
            members: count(members.len()),
            users: connections.into_values().flatten().collect(),
        }
    }

    /// The managed rooms that somebody is in, with what they were last judged by.
    pub fn managed(&self) -> Vec<(Room, (Validity, i64))> {
        self.doors.lock().iter().map(|(room, inside)| (*room, inside.seen)).collect()
    }
}
