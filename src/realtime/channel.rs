//! One room's live state: who is attached, who is present, and telling them.

mod judge;
mod say;
mod state;
mod tell;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::connection::{Connection, ConnectionId};
use super::doors::{Entry, Grant, Who};
use super::event::{Attached, Event, Heard, Message, PresenceAction, PresenceItem, Told};
use super::hub::{Hub, takes};
use super::occupancy::{To, Updates};
use super::order::Order;
use super::outbox::{Outbox, Tell};
use super::payload::Payload;
use super::presence::Members;
use super::replay::Replay;
use super::serial::Serial;
use super::session::{Answer, Attach, Attaching, Known, NewMessage, NewPresence, Refusal};
use super::share::Share;
use super::{Modes, RESUMABLE_FOR};
use crate::budget::Budget;
use crate::domain::door::Refused;
use crate::domain::occupancy::Occupancy;
use crate::domain::resource::ResourceId;
use crate::domain::room_id::RoomId;

/// A room while somebody is in it, or may come back to it.
pub struct Channel {
    resource: ResourceId,
    name: Arc<str>,
    order: Arc<Order>,
    output: Budget,
    state: Mutex<State>,
}

struct State {
    attachments: HashMap<ConnectionId, Attachment>,
    /// What those might do whose connection broke off: what they said last, the SDK says again before it
    /// attaches again.
    away: HashMap<ConnectionId, Away>,
    members: Members,
    /// The ids of members that were made to leave, for as long as a client may not know it yet.
    evicted: HashMap<String, Instant>,
    counts: Occupancy,
    replay: Replay,
    /// The latest time that anything here was told with. None is earlier than one before.
    latest: Serial,
    /// The pages of the members that were told last, while somebody still is, and of which version of the members.
    snapshot: (u64, Vec<Weak<Told>>),
    /// What is published here, and updates of members.
    messages: Share,
    /// Members that enter.
    entries: Share,
    updates: Updates,
    /// How many attachments are told of occupancy.
    listeners: usize,
    /// When a member leaves, at the soonest.
    next_leave: Option<Instant>,
    /// Until then a connection that broke off may come back.
    kept_until: Option<Instant>,
    /// When the schedule looks here next.
    scheduled: Option<Instant>,
    /// It was let go of, and another one may have taken its place.
    gone: bool,
    /// The managed room that what is kept here belongs to; `None` while it is one that no backend made.
    room: Option<RoomId>,
}

#[derive(Clone)]
struct Attachment {
    outbox: Arc<Outbox>,
    modes: Modes,
    /// What it would have with any role.
    asked: Modes,
    who: Who,
    /// The managed room by which it is here; `None` while no backend made one of this name.
    room: Option<RoomId>,
    /// The name by which its client knows this channel, if it is not the channel's own.
    alias: Option<Arc<str>>,
    occupancy: bool,
    echo: bool,
}

/// What stays of an attachment whose connection broke off.
struct Away {
    modes: Modes,
    asked: Modes,
    occupancy: bool,
    who: Who,
    room: Option<RoomId>,
}

/// Members in a page of a snapshot (ably-chat.md, section 4.3).
const PAGE: usize = 100;
/// Bytes in a page, unless one member alone has more: a page is rendered whole.
const PAGE_BYTES: usize = 64 * 1024;
/// Members that may enter a room at once, and twice as many as it holds: after a restart all come back, maybe twice.
const ENTRY_BURST: u32 = 500;
/// Bytes that all members of a room keep there together.
const PRESENCE_BYTES: usize = 2 * 1024 * 1024;

impl Channel {
    /// A room that nobody is in yet.
    pub fn new(resource: ResourceId, name: &str, hub: &Hub) -> Self {
        let members = u32::try_from(hub.limits.members_per_room).unwrap_or(u32::MAX);
        let rate = hub.limits.rate_per_room;
        let order = hub.order(resource);
        let beginning = order.beginning(hub.millis());
        let state = State {
            attachments: HashMap::new(),
            away: HashMap::new(),
            members: Members::new(Arc::clone(&hub.present)),
            evicted: HashMap::new(),
            counts: Occupancy::default(),
            replay: Replay::new(beginning, Arc::clone(&hub.replayed), hub.output.clone()),
            latest: beginning,
            snapshot: (0, Vec::new()),
            messages: Share::new(rate, members),
            entries: Share::new(rate, members.saturating_mul(2).max(ENTRY_BURST)),
            updates: Updates::default(),
            listeners: 0,
            next_leave: None,
            kept_until: None,
            scheduled: None,
            gone: false,
            room: None,
        };
        Self { resource, name: name.into(), order, output: hub.output.clone(), state: Mutex::new(state) }
    }

    pub fn resource(&self) -> ResourceId {
        self.resource
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The serials of its resource.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// How many are here.
    pub fn occupancy(&self) -> Occupancy {
        self.lock().counts
    }

    /// Who is present.
    pub fn members(&self) -> Vec<Arc<PresenceItem>> {
        self.lock().members.iter().cloned().collect()
    }

    /// Lets a connection in, or changes how it is here: it is told so, then what it missed, then who
    /// is present. `None` if this channel was let go of: there is another one.
    pub fn attach(
        self: &Arc<Self>,
        hub: &Hub,
        connection: ConnectionId,
        outbox: &Arc<Outbox>,
        attach: Attach<'_>,
        echo: bool,
    ) -> Option<Attaching> {
        let mut state = self.lock();
        if state.gone {
            return None;
        }
        // Under the lock: whoever changes the room counts first, and then looks who is here.
        let entry = attach.entry;
        if hub.turn(self.resource, &entry.called) != entry.turn {
            return Some(Attaching::Overtaken);
        }
        let Attach { modes, asked, occupancy, who, .. } = attach;
        let (who, room) = (who.clone(), entry.managed.as_ref().map(|read| read.room));
        if let Some(of) = state.room.filter(|of| room != Some(*of)) {
            if attach.found != Some(of) {
                return Some(Attaching::Belongs(of));
            }
            self.empty(&mut state, hub, of);
        }
        state.room = room;
        let alias = (*attach.channel != *self.name).then(|| attach.channel.into());
        let attachment = Attachment { outbox: Arc::clone(outbox), modes, asked, who, room, alias, occupancy, echo };
        let missed = attach.since.map(|since| state.missed(hub, since, connection, &attachment));
        let was_here = state.put(connection, attachment);
        let left = if modes.contains(Modes::PRESENCE) {
            state.members.leave(connection, None);
            Vec::new()
        } else {
            state.members.remove_all(connection) // nobody is present who may not be
        };

        let head = state.replay.head();
        let (resumed, lost, serial, missed) = match missed {
            _ if was_here => (true, false, head, Vec::new()),
            None => (false, false, head, Vec::new()),
            Some(None) => (false, true, head, Vec::new()),
            Some(Some((serial, missed))) => (true, false, serial, missed),
        };
        self.tell_attached(&mut state, hub, connection, resumed, lost, serial);
        if let Some(attachment) = state.attachments.get(&connection) {
            missed.iter().for_each(|told| attachment.tell(told));
        }
        let members = self.sync(&mut state, hub, connection);
        self.tell_left(&mut state, hub, left);
        let now = Instant::now();
        if occupancy {
            state.updates.joined(connection, now);
        }
        self.changed(&mut state, hub, now);
        let bytes = if members == 0 { 0 } else { state.members.bytes() };
        Some(Attaching::Done { members, bytes })
    }

    /// True if a connection is here, or may come back.
    pub fn holds(&self, connection: ConnectionId) -> bool {
        let state = self.lock();
        state.attachments.contains_key(&connection) || state.away.contains_key(&connection)
    }

    /// How a connection is here, or was when it broke off; `called` and `turn` are those of its room.
    pub fn known(&self, hub: &Hub, connection: ConnectionId, called: &str, turn: u64) -> Option<Known> {
        let state = self.lock();
        let here = state.attachments.get(&connection).map(|a| (a.modes, a.asked, a.occupancy, a.who.clone(), a.room));
        let away = || state.away.get(&connection).map(|a| (a.modes, a.asked, a.occupancy, a.who.clone(), a.room));
        let (modes, asked, occupancy, who, room) = here.or_else(away)?;
        drop(state); // the doors are locked before a channel is
        let managed = match room {
            Some(room) => {
                Some(hub.last_read(self.resource, room).filter(|read| read.seen.0.contains(hub.clock.now()))?)
            }
            None => None,
        };
        let entry = Entry { called: called.into(), turn, managed };
        Some(Known { place: Arc::clone(&self.name), modes, asked, occupancy, who, entry })
    }

    /// Who is attached by a managed room.
    pub fn connections(&self, room: RoomId) -> Vec<(ConnectionId, Who)> {
        let state = self.lock();
        let inside = state.attachments.iter().filter(|(_, a)| a.room == Some(room));
        inside.map(|(connection, a)| (*connection, a.who.clone())).collect()
    }

    /// The users that are here, or may come back.
    pub fn users(&self) -> Vec<Arc<str>> {
        let state = self.lock();
        let away = state.away.values().map(|away| &away.who);
        let here = state.attachments.values().map(|attachment| &attachment.who);
        here.chain(away).filter_map(Who::user).cloned().collect()
    }

    /// Lets an attachment have what it asked for, as far as `grant` goes; its client is told of a change.
    fn set_modes(&self, state: &mut State, hub: &Hub, connection: ConnectionId, grant: Grant) {
        let Some(attachment) = state.attachments.get(&connection) else { return };
        let now = attachment.asked & grant.modes;
        let occupancy = attachment.occupancy && grant.occupancy;
        if now == attachment.modes && occupancy == attachment.occupancy {
            return;
        }
        let attachment = Attachment { modes: now, occupancy, ..attachment.clone() };
        state.put(connection, attachment);
        let head = state.replay.head();
        self.tell_attached(state, hub, connection, true, false, head);
        self.sync(state, hub, connection);
        if !now.contains(Modes::PRESENCE) {
            let left = state.members.remove_all(connection);
            self.tell_left(state, hub, left);
        }
    }

    /// Takes from an attachment what is not in `grant`. False if nothing is left, which is for the caller to tell.
    pub fn regrant(self: &Arc<Self>, hub: &Hub, connection: ConnectionId, grant: Grant) -> bool {
        let Grant { modes, occupancy } = grant;
        let mut state = self.lock();
        if let Some(away) = state.away.get_mut(&connection) {
            away.asked &= modes;
            away.modes &= modes;
        }
        let Some(attachment) = state.attachments.get_mut(&connection) else { return true };
        attachment.asked &= modes;
        let now = attachment.modes & modes;
        if now.is_empty() {
            return false;
        }
        self.set_modes(&mut state, hub, connection, Grant { modes: now, occupancy });
        self.changed(&mut state, hub, Instant::now());
        true
    }

    /// Lets a connection go, with its members.
    pub fn detach(self: &Arc<Self>, hub: &Hub, connection: ConnectionId) {
        let mut state = self.lock();
        state.take(connection);
        state.away.remove(&connection);
        let left = state.members.remove_all(connection);
        self.tell_left(&mut state, hub, left);
        self.settle(state, hub);
    }

    /// A connection broke off, or goes on over another transport: its members stay until `leaves_at`,
    /// and for good once it attaches again.
    pub fn lose(self: &Arc<Self>, hub: &Hub, connection: ConnectionId, leaves_at: Instant) {
        let mut state = self.lock();
        let now = Instant::now();
        if let Some(attachment) = state.take(connection) {
            let Attachment { modes, asked, occupancy, who, room, .. } = attachment;
            state.away.insert(connection, Away { modes, asked, occupancy, who, room });
        }
        state.kept_until = Some(now + RESUMABLE_FOR);
        if state.members.leave(connection, Some(leaves_at)) {
            state.next_leave = Some(state.next_leave.map_or(leaves_at, |at| at.min(leaves_at)));
        }
        self.changed(&mut state, hub, now);
    }

    /// A connection that broke off does not come back.
    pub fn forget(&self, connection: ConnectionId) {
        self.lock().away.remove(&connection);
    }

    /// Does what is due. True if nothing holds this channel any more.
    pub fn tick(self: &Arc<Self>, hub: &Hub, due: Instant, now: Instant) -> bool {
        let mut state = self.lock();
        // What was to be looked at sooner since is looked at then.
        if state.gone || state.scheduled != Some(due) {
            return false;
        }
        state.scheduled = None;
        if state.next_leave.is_some_and(|at| at <= now) {
            let left = state.members.remove_due(now);
            state.next_leave = state.members.next_leave();
            self.tell_left(&mut state, hub, left);
            self.changed(&mut state, hub, now);
        }
        let counts = state.counts;
        if let Some(to) = state.updates.take(counts, now) {
            let at = self.now(&mut state, hub);
            let told = self.told(at, Event::Occupancy { id: hub.next_id(), now: counts });
            let listens = |attachment: &&Attachment| attachment.listens();
            match to {
                To::Everyone => state.attachments.values().filter(listens).for_each(|a| a.update(&told)),
                To::Only(fresh) => {
                    fresh
                        .iter()
                        .filter_map(|id| state.attachments.get(id))
                        .filter(listens)
                        .for_each(|a| a.update(&told));
                }
            }
        }
        let is_over = state.is_over(now);
        if !is_over {
            self.schedule(&mut state, hub);
        }
        is_over
    }

    /// Lets go of what was told too long ago.
    pub fn trim(&self, now: Instant) {
        let mut state = self.lock();
        state.replay.trim(now);
        state.evicted.retain(|_, at| now.duration_since(*at) < RESUMABLE_FOR);
    }

    /// Marks the channel as let go of, if nothing holds it.
    pub fn end(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.gone = state.is_over(now);
        state.gone
    }

    /// Members or attachments are others now.
    fn changed(self: &Arc<Self>, state: &mut State, hub: &Hub, now: Instant) {
        state.counts.presence_members = u32::try_from(state.members.len()).unwrap_or(u32::MAX);
        if state.listeners == 0 {
            state.updates.reset();
        } else {
            let counts = state.counts;
            state.updates.changed(&counts, now, hub.limits.occupancy_interval);
        }
        self.schedule(state, hub);
    }

    fn schedule(self: &Arc<Self>, state: &mut State, hub: &Hub) {
        let is_empty = state.attachments.is_empty() && state.members.is_empty();
        let end = state.kept_until.filter(|_| is_empty);
        let next = [state.updates.due(), state.next_leave, end].into_iter().flatten().min();
        if let Some(next) = next
            && state.scheduled.is_none_or(|at| next < at)
        {
            state.scheduled = Some(next);
            hub.schedule.add(next, Arc::clone(self));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
