//! The rooms that somebody is in, by who decides about them: a roster, or nobody. Who is inside is judged again
//! when that changes.

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
use crate::domain::room_name::RoomName;
use crate::domain::room_options::RoomOptions;
use crate::domain::validity::Validity;

/// The rooms of this node.
pub(super) struct Doors {
    /// Counts changes, of a room and of those that share its place here.
    turns: Vec<AtomicU64>,
    /// Held while a room, or one that shares its place, is read and judged.
    judging: Vec<tokio::sync::Mutex<()>>,
    rooms: Mutex<Rooms>,
}

#[derive(Default)]
struct Rooms {
    managed: HashMap<Room, Managed>,
    /// Channels by the name of their room, which no backend made.
    named: HashMap<Named, Vec<Arc<Channel>>>,
}

/// A managed room, of any resource.
pub type Room = (ResourceId, RoomId);
/// A room that no backend made.
pub type Named = (ResourceId, Arc<str>);

/// A managed room that somebody is in.
struct Managed {
    channels: Vec<Arc<Channel>>,
    name: Option<RoomName>,
    seen: Seen,
    /// Whether it was open when those inside were judged last.
    was_open: bool,
}

/// What was last known of a managed room: its window, and the version of its roster.
pub type Seen = (Validity, i64);

/// Who is in a managed room.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Connections; one is counted once, also if it is attached twice.
    pub connections: u32,
    /// Of each connection that the roster let in, whose it is.
    pub users: Vec<Arc<str>>,
    /// Of each member that is present, who it is.
    pub members: Vec<Arc<str>>,
}

/// Who somebody is, as far as a roster goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The holder of a key, whom rosters do not concern.
    Backend,
    User(Arc<str>),
    /// Nobody in particular, whom no roster lets in.
    Nobody,
}

/// What somebody may have in a room, of what they ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    pub modes: Modes,
    /// Updates of its occupancy.
    pub occupancy: bool,
}

/// By what somebody goes into a room.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What the room was called when it was read who may enter: by its id, or by its name.
    pub called: Arc<str>,
    /// [`Hub::turn`] of that, asked before.
    pub turn: u64,
    /// The managed room that it is.
    pub managed: Option<Read>,
}

/// What was read of a managed room.
#[derive(Debug, Clone)]
pub struct Read {
    pub room: RoomId,
    pub name: Option<RoomName>,
    pub seen: Seen,
}

impl From<&Door> for Read {
    fn from(door: &Door) -> Self {
        Self { room: door.room, name: door.name.clone(), seen: (door.validity, door.version) }
    }
}

const PLACES: usize = 256;
/// The version of no roster: the room is looked at again.
const STALE: i64 = -1;

impl Who {
    /// The user, if it is one.
    pub fn user(&self) -> Option<&Arc<str>> {
        match self {
            Self::User(id) => Some(id),
            Self::Backend | Self::Nobody => None,
        }
    }
}

impl Grant {
    /// All that can be asked for.
    pub const ALL: Self = Self { modes: Modes::all(), occupancy: true };

    /// What a managed room allows: by the role, which a backend has none of, and by what is fixed for everyone.
    pub fn of(role: Option<Role>, options: &RoomOptions) -> Self {
        let mut modes = Modes::all();
        if let Some(may) = role.map(Role::may) {
            modes.set(Modes::PUBLISH | Modes::ANNOTATION_PUBLISH, may.publish);
            modes.set(Modes::PRESENCE, may.be_present);
        }
        modes.set(Modes::PRESENCE_SUBSCRIBE, options.presence_events != Some(false));
        modes.set(Modes::ANNOTATION_SUBSCRIBE, options.raw_message_reactions != Some(false));
        Self { modes, occupancy: options.occupancy_events != Some(false) }
    }

    /// What a managed room allows somebody now.
    ///
    /// # Errors
    /// The roster or the window does not let them in.
    pub fn at(door: &Door, who: &Who, now: DateTime<Utc>) -> Result<(Option<Role>, Self), Refused> {
        let role = match who {
            Who::Backend => None,
            Who::User(id) => Some(door.admit(id, now)?),
            Who::Nobody => return Err(Refused::NotOnRoster),
        };
        Ok((role, Self::of(role, &door.options)))
    }
}

impl Default for Doors {
    fn default() -> Self {
        let turns = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        let judging = (0..PLACES).map(|_| tokio::sync::Mutex::default()).collect();
        Self { turns, judging, rooms: Mutex::default() }
    }
}

impl Doors {
    fn count(&self, resource: ResourceId, called: &str) {
        if let Some(turn) = self.turns.get(place(resource, called)) {
            turn.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Before an attachment is made: whoever judges the room again then looks into this channel, too.
    pub(super) fn register(&self, resource: ResourceId, entry: &Entry, channel: &Arc<Channel>) {
        let mut rooms = self.lock();
        let channels = match &entry.managed {
            Some(read) => {
                let room = rooms.of(resource, read);
                if room.seen != read.seen {
                    room.seen.1 = STALE; // who is inside was let in by different readings
                }
                &mut room.channels
            }
            None => rooms.named.entry((resource, Arc::clone(&entry.called))).or_default(),
        };
        add(channels, channel);
    }

    /// A channel was let go of.
    pub(super) fn forget(&self, channel: &Arc<Channel>) {
        let keep = |resource: ResourceId, channels: &mut Vec<Arc<Channel>>| {
            if resource == channel.resource() {
                channels.retain(|known| !Arc::ptr_eq(known, channel));
            }
            !channels.is_empty()
        };
        let mut rooms = self.lock();
        rooms.managed.retain(|(resource, _), room| keep(*resource, &mut room.channels));
        rooms.named.retain(|(resource, _), channels| keep(*resource, channels));
    }

    fn channels(&self, room: Room) -> Vec<Arc<Channel>> {
        self.lock().managed.get(&room).map_or_else(Vec::new, |inside| inside.channels.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rooms {
    fn of(&mut self, resource: ResourceId, read: &Read) -> &mut Managed {
        // It was open when its first was let in; or else it is looked at once more.
        let fresh = || Managed { channels: Vec::new(), name: read.name.clone(), seen: read.seen, was_open: true };
        self.managed.entry((resource, read.room)).or_insert_with(fresh)
    }

    /// Keeps what is known of a room now, and gives its channels; those of its name are among them from now on.
    fn seen(&mut self, resource: ResourceId, door: &Door, now: DateTime<Utc>) -> Vec<Arc<Channel>> {
        let name = door.name.as_ref().map(|name| (resource, Arc::from(name.as_str())));
        let before = name.and_then(|name| self.named.remove(&name)).unwrap_or_default();
        if before.is_empty() && !self.managed.contains_key(&(resource, door.room)) {
            return Vec::new();
        }
        let room = self.of(resource, &Read::from(door));
        (room.seen, room.was_open) = ((door.validity, door.version), door.validity.contains(now));
        before.iter().for_each(|channel| add(&mut room.channels, channel));
        room.channels.clone()
    }
}

fn place(resource: ResourceId, called: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    (resource, called).hash(&mut hasher);
    usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0)
}

fn add(channels: &mut Vec<Arc<Channel>>, channel: &Arc<Channel>) {
    if !channels.iter().any(|known| Arc::ptr_eq(known, channel)) {
        channels.push(Arc::clone(channel));
    }
}

impl Hub {
    /// Counts the changes of a room, as it is called: to be asked before it is read who may enter, and
    /// given with what was decided by that. What was read before a change lets nobody in after it.
    pub fn turn(&self, resource: ResourceId, called: &str) -> u64 {
        self.doors.turns.get(place(resource, called)).map_or(0, |turn| turn.load(Ordering::SeqCst))
    }

    /// To be held from before a room is read until it is judged by that: so a later reading is never followed by an
    /// earlier one.
    pub async fn judging(&self, resource: ResourceId, room: RoomId) -> Option<impl Drop> {
        match self.doors.judging.get(place(resource, &room.to_string())) {
            Some(judging) => Some(judging.lock().await),
            None => None,
        }
    }

    /// A managed room was changed: who is to be judged again by its roster, and whether anybody is inside
    /// at all. That counts who is in a room of its name that no backend made.
    pub fn changed(&self, resource: ResourceId, room: RoomId, name: Option<&RoomName>) -> Option<Vec<Arc<str>>> {
        self.doors.count(resource, &room.to_string());
        let rooms = self.doors.lock();
        let managed = rooms.managed.get(&(resource, room));
        let mut channels = managed.map_or_else(Vec::new, |managed| managed.channels.clone());
        if let Some(name) = name.or_else(|| managed?.name.as_ref()) {
            self.doors.count(resource, name.as_str());
            let key = (resource, Arc::from(name.as_str()));
            channels.extend(rooms.named.get(&key).into_iter().flatten().cloned());
        }
        drop(rooms);
        let users: HashSet<Arc<str>> = channels.iter().flat_map(|channel| channel.users()).collect();
        (!channels.is_empty()).then(|| users.into_iter().collect())
    }

    /// Judges all who are inside by `door`, or by there being none: who may not be inside any more
    /// is told so and leaves, and who may have other things than before is told that. Who was in a room
    /// of its name before a backend made it, is in it from now on.
    ///
    /// Users that the door was not `asked` about came in since, by a later reading, and stay. True if there are such:
    /// then the room is to be read again.
    pub fn judge(
        &self,
        resource: ResourceId,
        room: RoomId,
        door: Option<&Door>,
        asked: &[Arc<str>],
        now: DateTime<Utc>,
    ) -> bool {
        let Some(door) = door else {
            self.doors.channels((resource, room)).iter().for_each(|channel| channel.close(self, room));
            self.doors.lock().managed.remove(&(resource, room));
            return false;
        };
        let channels = self.doors.lock().seen(resource, door, now);
        let mut is_left = false;
        for channel in channels {
            is_left |= channel.judge(self, Some(room), |who| {
                let is_known = who.user().is_none_or(|user| asked.contains(user));
                is_known.then(|| Grant::at(door, who, now).map(|(_, grant)| grant))
            });
        }
        is_left
    }

    /// Who is inside could not be judged to the end: the watch does it.
    pub fn look_again(&self, resource: ResourceId, room: RoomId) {
        if let Some(room) = self.doors.lock().managed.get_mut(&(resource, room)) {
            room.seen.1 = STALE;
        }
    }

    /// There are no rooms any more but those that a backend makes: who is in another one leaves.
    pub fn close_named(&self, resource: ResourceId, name: &Arc<str>) {
        self.doors.count(resource, name);
        let channels = self.doors.lock().named.get(&(resource, Arc::clone(name))).cloned();
        for channel in channels.unwrap_or_default() {
            channel.judge(self, None, |_| Some(Err(Refused::NoNamedRooms)));
        }
    }

    /// Who is in a managed room now.
    pub fn inside(&self, resource: ResourceId, room: RoomId) -> Inside {
        let channels = self.doors.channels((resource, room));
        let connections: HashMap<ConnectionId, Who> =
            channels.iter().flat_map(|channel| channel.connections(room)).collect();
        let member = |item: Arc<PresenceItem>| (item.connection, Arc::clone(&item.client_id));
        let members: HashSet<_> = channels.iter().flat_map(|channel| channel.members()).map(member).collect();
        Inside {
            connections: u32::try_from(connections.len()).unwrap_or(u32::MAX),
            users: connections.values().filter_map(Who::user).cloned().collect(),
            members: members.into_iter().map(|(_, client)| client).collect(),
        }
    }

    /// The managed rooms that somebody is in, with what they were last judged by.
    pub fn managed(&self) -> Vec<(Room, Seen)> {
        self.doors.lock().managed.iter().map(|(room, inside)| (*room, inside.seen)).collect()
    }

    /// What was last read of a managed room that somebody is in.
    pub(super) fn last_read(&self, resource: ResourceId, room: RoomId) -> Option<Read> {
        let rooms = self.doors.lock();
        let managed = rooms.managed.get(&(resource, room))?;
        Some(Read { room, name: managed.name.clone(), seen: managed.seen })
    }

    /// Those of them whose window began or ended since.
    pub fn turned(&self, now: DateTime<Utc>) -> Vec<Room> {
        let rooms = self.doors.lock();
        let turned = rooms.managed.iter().filter(|(_, room)| room.seen.0.contains(now) != room.was_open);
        turned.map(|(room, _)| *room).collect()
    }

    /// The rooms that somebody is in and no backend made, by name.
    pub fn named(&self) -> Vec<Named> {
        self.doors.lock().named.keys().cloned().collect()
    }
}
