//! One room's live state: who is attached, who is present, and telling them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use governor::Quota;
use serde_json::Value;
use tokio::time::Instant;

use super::connection::{ConnectionId, Rate};
use super::event::{Attached, Event, Message, PresenceAction, PresenceItem, Told};
use super::hub::{Hub, takes};
use super::occupancy::{To, Updates};
use super::outbox::{Outbox, Tell};
use super::presence::Members;
use super::replay::Replay;
use super::serial::Serial;
use super::session::{Answer, Attach, Attaching, NewMessage, NewPresence, Refusal};
use super::{Modes, RESUMABLE_FOR};
use crate::domain::door::Refused;
use crate::domain::occupancy::Occupancy;
use crate::domain::resource::ResourceId;

/// A room while somebody is in it, or may come back to it.
pub struct Channel {
    resource: ResourceId,
    name: Arc<str>,
    state: Mutex<State>,
}

struct State {
    attachments: HashMap<ConnectionId, Attachment>,
    /// What those might do whose connection broke off: what they said last, the SDK says again before it
    /// attaches again.
    away: HashMap<ConnectionId, Away>,
    members: Members,
    counts: Occupancy,
    replay: Replay,
    rate: Rate,
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
}

struct Attachment {
    outbox: Arc<Outbox>,
    modes: Modes,
    /// What it would have with any role.
    asked: Modes,
    /// Whom a roster let in.
    user: Option<Arc<str>>,
    occupancy: bool,
    echo: bool,
}

/// What stays of an attachment whose connection broke off.
struct Away {
    modes: Modes,
    asked: Modes,
    user: Option<Arc<str>>,
}

/// Members in a page of a snapshot (ably-chat.md, section 4.3).
const PAGE: usize = 100;
/// Bytes that all members of a room keep there together.
const PRESENCE_BYTES: usize = 2 * 1024 * 1024;

impl Channel {
    /// A room that nobody is in yet.
    pub fn new(resource: ResourceId, name: &str, hub: &Hub) -> Self {
        let burst = NonZeroU32::new(u32::try_from(hub.limits.members_per_room).unwrap_or(u32::MAX));
        let rate = hub.limits.rate_per_room;
        let quota = Quota::per_second(rate).allow_burst(burst.map_or(rate, |burst| burst.max(rate)));
        let state = State {
            attachments: HashMap::new(),
            away: HashMap::new(),
            members: Members::default(),
            counts: Occupancy::default(),
            replay: Replay::new(hub.beginning(), Arc::clone(&hub.kept)),
            rate: Rate::direct(quota),
            updates: Updates::default(),
            listeners: 0,
            next_leave: None,
            kept_until: None,
            scheduled: None,
            gone: false,
        };
        Self { resource, name: name.into(), state: Mutex::new(state) }
    }

    pub fn resource(&self) -> ResourceId {
        self.resource
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How many are here.
    pub fn occupancy(&self) -> Occupancy {
        self.lock().counts
    }

    /// Who is present.
    pub fn members(&self) -> Vec<PresenceItem> {
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
        if attach.entry.is_some_and(|entry| hub.turn(self.resource, entry.room) != entry.turn) {
            return Some(Attaching::Overtaken);
        }
        let Attach { modes, asked, occupancy, .. } = attach;
        let user = attach.entry.and_then(|entry| entry.user.clone());
        let attachment = Attachment { outbox: Arc::clone(outbox), modes, asked, user, occupancy, echo };
        let missed = attach.since.map(|since| state.missed(hub, since, connection, &attachment));
        let was_here = state.put(connection, attachment);
        let left = if modes.contains(Modes::PRESENCE) {
            state.members.leave(connection, None);
            Vec::new()
        } else {
            state.members.remove_all(connection) // nobody is present who may not be
        };
        self.tell_left(&mut state, hub, left);

        let head = state.replay.head();
        let (resumed, lost, serial, missed) = match missed {
            _ if was_here => (true, false, head, Vec::new()),
            None => (false, false, head, Vec::new()),
            Some(None) => (false, true, head, Vec::new()),
            Some(Some((serial, missed))) => (true, false, serial, missed),
        };
        self.tell_attached(&state, hub, connection, resumed, lost, serial);
        for told in missed {
            outbox.push(Tell::Shared(told));
        }
        let members = self.sync(&state, hub, connection);
        let now = Instant::now();
        if occupancy {
            state.updates.joined(connection, now);
        }
        self.changed(&mut state, hub, now);
        Some(Attaching::Done(members))
    }

    /// True if a connection is here, or may come back.
    pub fn holds(&self, connection: ConnectionId) -> bool {
        let state = self.lock();
        state.attachments.contains_key(&connection) || state.away.contains_key(&connection)
    }

    /// Who is attached, and whom of them a roster let in.
    pub fn connections(&self) -> Vec<(ConnectionId, Option<Arc<str>>)> {
        self.lock().attachments.iter().map(|(connection, a)| (*connection, a.user.clone())).collect()
    }

    /// Whom a roster let in.
    pub fn users(&self) -> Vec<Arc<str>> {
        let state = self.lock();
        let away = state.away.values().filter_map(|away| away.user.clone());
        state.attachments.values().filter_map(|attachment| attachment.user.clone()).chain(away).collect()
    }

    /// Judges everyone here anew, users by who they are and backends by `None`: who may not be here
    /// is told why and leaves, and who may do other things than before is told so in place.
    pub fn judge(self: &Arc<Self>, hub: &Hub, may: impl Fn(Option<&str>) -> Result<Modes, Refused>) {
        let mut state = self.lock();
        let verdicts: Vec<(ConnectionId, Result<Modes, Refused>)> =
            state.attachments.iter().map(|(id, a)| (*id, may(a.user.as_deref()))).collect();
        for (connection, verdict) in verdicts {
            match verdict {
                Ok(modes) => self.set_modes(&mut state, hub, connection, modes, true),
                Err(refused) => self.eject(&mut state, hub, connection, refused),
            }
        }
        let mut gone = Vec::new();
        state.away.retain(|connection, away| match may(away.user.as_deref()) {
            Ok(modes) => {
                away.modes = away.asked & modes;
                true
            }
            Err(_) => {
                gone.push(*connection);
                false
            }
        });
        for connection in gone {
            let left = state.members.remove_all(connection);
            self.tell_left(&mut state, hub, left);
        }
        self.changed(&mut state, hub, Instant::now());
    }

    /// Makes a connection leave, and tells it why.
    fn eject(&self, state: &mut State, hub: &Hub, connection: ConnectionId, refused: Refused) {
        if let Some(attachment) = state.take(connection) {
            attachment.outbox.forget_occupancy(&self.name);
            attachment.outbox.push(Tell::Shared(self.told(hub, Event::Ejected(refused))));
        }
        let left = state.members.remove_all(connection);
        self.tell_left(state, hub, left);
    }

    /// Lets an attachment do what it asked for, as far as `modes` go; its client is told of a change.
    fn set_modes(&self, state: &mut State, hub: &Hub, connection: ConnectionId, modes: Modes, occupancy: bool) {
        let Some(attachment) = state.attachments.get(&connection) else { return };
        let now = attachment.asked & modes;
        let occupancy = attachment.occupancy && occupancy;
        if now == attachment.modes && occupancy == attachment.occupancy {
            return;
        }
        let attachment = Attachment {
            modes: now,
            occupancy,
            outbox: Arc::clone(&attachment.outbox),
            user: attachment.user.clone(),
            ..*attachment
        };
        state.put(connection, attachment);
        self.tell_attached(state, hub, connection, true, false, state.replay.head());
        self.sync(state, hub, connection);
        if !now.contains(Modes::PRESENCE) {
            let left = state.members.remove_all(connection);
            self.tell_left(state, hub, left);
        }
    }

    /// Takes from an attachment what is not in `modes`, and its updates unless `occupancy`. False if nothing is left, which is for the caller to tell.
    pub fn regrant(self: &Arc<Self>, hub: &Hub, connection: ConnectionId, modes: Modes, occupancy: bool) -> bool {
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
        self.set_modes(&mut state, hub, connection, now, occupancy);
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
        self.changed(&mut state, hub, Instant::now());
        let is_over = state.is_over(Instant::now());
        drop(state);
        if is_over {
            hub.let_go(self);
        }
    }

    /// A connection broke off, or goes on over another transport: its members stay until `leaves_at`,
    /// and for good once it attaches again.
    pub fn lose(self: &Arc<Self>, hub: &Hub, connection: ConnectionId, leaves_at: Instant) {
        let mut state = self.lock();
        let now = Instant::now();
        if let Some(attachment) = state.take(connection) {
            let Attachment { modes, asked, user, .. } = attachment;
            state.away.insert(connection, Away { modes, asked, user });
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

    /// Tells everyone here what `connection` says.
    pub fn publish(
        self: &Arc<Self>,
        hub: &Hub,
        connection: ConnectionId,
        frame: u64,
        messages: Vec<(NewMessage, Option<Arc<str>>)>,
    ) -> Answer {
        let mut state = self.lock();
        state.check(connection, Modes::PUBLISH, "publish")?;
        state.check_rate(hub, messages.len())?;
        let id = format!("{connection}:{frame}");
        let messages = messages.into_iter().enumerate().map(|(index, (new, client_id))| {
            let id = format!("{id}:{index}");
            Message { id, client_id, name: new.name, payload: new.payload, serial: None }
        });
        // What is ephemeral has no place in the room's order, and is not told to who comes back.
        let (lasting, ephemeral): (Vec<_>, Vec<_>) = messages.enumerate().partition(|(_, m)| !is_ephemeral(m));
        let mut serials = vec![None; lasting.len() + ephemeral.len()];
        let event = |serial, messages| Event::Messages { from: connection, id: id.clone(), serial, messages };
        if !lasting.is_empty() {
            let (serial, text) = state.next_serial(hub);
            let with_serial = |(place, (index, message)): (usize, (usize, Message))| {
                let serial = format!("{text}:{place:03}");
                serials[index] = Some(serial.clone());
                Message { serial: Some(serial), ..message }
            };
            let messages = lasting.into_iter().enumerate().map(with_serial).collect();
            let told = self.told(hub, event(Some(text.clone()), messages));
            state.replay.push(serial, Instant::now(), Arc::clone(&told));
            self.schedule(&mut state, hub);
            state.tell(&told);
        }
        if !ephemeral.is_empty() {
            let messages = ephemeral.into_iter().map(|(_, message)| message).collect();
            state.tell(&self.told(hub, event(None, messages)));
        }
        Ok(serials)
    }

    /// Changes who is present, for members of `connection`.
    pub fn presence(
        self: &Arc<Self>,
        hub: &Hub,
        connection: ConnectionId,
        frame: u64,
        items: Vec<(NewPresence, Arc<str>)>,
    ) -> Answer {
        let mut state = self.lock();
        state.check(connection, Modes::PRESENCE, "presence")?;
        state.check_members(hub, connection, &items)?;
        // To leave is always free.
        state.check_rate(hub, items.iter().filter(|(item, _)| item.action != PresenceAction::Leave).count())?;
        let id = format!("{connection}:{frame}");
        let timestamp = hub.clock.now();
        let mut done = Vec::new();
        for (index, (new, client_id)) in items.into_iter().enumerate() {
            let item_id = format!("{id}:{index}");
            let NewPresence { action, payload, id: own_id, .. } = new;
            let item = |payload| PresenceItem { id: item_id, action, connection, client_id, payload, timestamp };
            if action == PresenceAction::Leave {
                // A leave without data repeats the member's last; of one who is not there it is nothing.
                let mut item = item(payload);
                let Some(was) = state.members.remove(connection, &item.client_id) else { continue };
                if item.payload.data.is_none() {
                    item.payload = was.payload;
                }
                done.push(item);
            } else {
                let item = item(payload);
                // A client that came back repeats its members, to be sure: nobody has to hear it (section 3.9).
                let repeats = |id: &str| state.members.is_repeated(connection, &item.client_id, id, &item.payload);
                if !own_id.is_some_and(|id| repeats(&id)) {
                    state.members.put(&item, (frame, index));
                    done.push(item);
                }
            }
        }
        if !done.is_empty() {
            self.tell_presence(&mut state, hub, Some(connection), id, done);
            self.changed(&mut state, hub, Instant::now());
        }
        Ok(Vec::new())
    }

    /// Makes every member of a client leave; it does not come back by itself. Gives how many there were.
    pub fn evict(self: &Arc<Self>, hub: &Hub, client_id: &str) -> usize {
        let mut state = self.lock();
        let left = state.members.remove_client(client_id);
        let count = left.len();
        for item in left {
            let timestamp = hub.clock.now();
            let item = PresenceItem { action: PresenceAction::Leave, timestamp, ..item };
            let id = hub.next_id();
            self.tell_presence(&mut state, hub, None, id, vec![item]);
        }
        self.changed(&mut state, hub, Instant::now());
        count
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
            let told = self.told(hub, Event::Occupancy { id: hub.next_id(), now: counts });
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
        state.replay.trim(now);
        let is_over = state.is_over(now);
        if !is_over {
            self.schedule(&mut state, hub);
        }
        is_over
    }

    /// Marks the channel as let go of, if nothing holds it.
    pub fn end(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.gone = state.is_over(now);
        state.gone
    }

    fn tell_attached(
        &self,
        state: &State,
        hub: &Hub,
        connection: ConnectionId,
        resumed: bool,
        continuity_lost: bool,
        serial: Serial,
    ) {
        let Some(attachment) = state.attachments.get(&connection) else { return };
        let event = Event::Attached(Attached {
            modes: attachment.modes,
            has_presence: attachment.sees_members() && !state.members.is_empty(),
            resumed,
            continuity_lost,
            occupancy: attachment.occupancy,
            serial: hub.series.text(serial),
        });
        attachment.outbox.push(Tell::Shared(self.told(hub, event)));
    }

    /// Tells a connection who is present, in pages; gives how many that are.
    fn sync(&self, state: &State, hub: &Hub, connection: ConnectionId) -> usize {
        let Some(attachment) = state.attachments.get(&connection).filter(|a| a.sees_members()) else { return 0 };

        let members: Vec<PresenceItem> = state.members.iter().cloned().collect();
        let (snapshot, pages) = (hub.next_number(), members.len().div_ceil(PAGE));
        for (page, items) in members.chunks(PAGE).enumerate() {
            let is_last = page + 1 == pages;
            let goes_on = if is_last { String::new() } else { (page + 1).to_string() };
            let event = Event::Sync { cursor: format!("sync{snapshot}:{goes_on}"), items: items.to_vec() };
            attachment.outbox.push(Tell::Shared(self.told(hub, event)));
        }
        members.len()
    }

    /// Tells that members are gone without their own doing.
    fn tell_left(&self, state: &mut State, hub: &Hub, left: Vec<PresenceItem>) {
        if left.is_empty() {
            return;
        }
        // Not an id of the connection: such a leave goes by its time (ably-chat.md, section 5, newness).
        let id = hub.next_id();
        let timestamp = hub.clock.now();
        let items = left.into_iter().enumerate().map(|(index, item)| PresenceItem {
            id: format!("{id}:{index}"),
            action: PresenceAction::Leave,
            timestamp,
            ..item
        });
        self.tell_presence(state, hub, None, id.clone(), items.collect());
    }

    fn tell_presence(
        &self,
        state: &mut State,
        hub: &Hub,
        from: Option<ConnectionId>,
        id: String,
        items: Vec<PresenceItem>,
    ) {
        let (serial, text) = state.next_serial(hub);
        let told = self.told(hub, Event::Presence { from, id, serial: text, items });
        state.replay.push(serial, Instant::now(), Arc::clone(&told));
        state.tell(&told);
    }

    fn told(&self, hub: &Hub, event: Event) -> Arc<Told> {
        Arc::new(Told::new(Arc::clone(&self.name), hub.clock.now(), event))
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
        let next = [state.updates.due(), state.next_leave, state.replay.trim_at(), end].into_iter().flatten().min();
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

impl State {
    /// Puts an attachment in the place of what was there; true if one was.
    fn put(&mut self, connection: ConnectionId, attachment: Attachment) -> bool {
        let was_here = self.take(connection).is_some();
        self.away.remove(&connection);
        self.count(attachment.modes, 1);
        self.listeners += usize::from(attachment.listens());
        self.attachments.insert(connection, attachment);
        was_here
    }

    fn take(&mut self, connection: ConnectionId) -> Option<Attachment> {
        let attachment = self.attachments.remove(&connection)?;
        self.count(attachment.modes, -1);
        self.listeners -= usize::from(attachment.listens());
        Some(attachment)
    }

    fn count(&mut self, modes: Modes, by: i32) {
        let counts = &mut self.counts;
        let add = |count: &mut u32, counts: bool| {
            if counts {
                *count = count.saturating_add_signed(by);
            }
        };
        add(&mut counts.connections, true);
        add(&mut counts.publishers, modes.contains(Modes::PUBLISH));
        add(&mut counts.subscribers, modes.contains(Modes::SUBSCRIBE));
        add(&mut counts.presence_connections, modes.contains(Modes::PRESENCE));
        add(&mut counts.presence_subscribers, modes.contains(Modes::PRESENCE_SUBSCRIBE));
    }

    /// What a connection was not told since, if all of it is still known and its queue takes it.
    fn missed(
        &self,
        hub: &Hub,
        since: &str,
        connection: ConnectionId,
        attachment: &Attachment,
    ) -> Option<(Serial, Vec<Arc<Told>>)> {
        let since = hub.series.read(since)?;
        let told = self.replay.since(since)?.filter(|told| attachment.is_told(connection, &told.event));
        let told: Vec<Arc<Told>> = told.cloned().collect();
        let bytes = told.iter().map(|told| told.size()).sum();
        attachment.outbox.has_room_for(told.len(), bytes).then_some((since, told))
    }

    fn tell(&self, told: &Arc<Told>) {
        for (connection, attachment) in &self.attachments {
            if attachment.is_told(*connection, &told.event) {
                attachment.outbox.push(Tell::Shared(Arc::clone(told)));
            }
        }
    }

    fn next_serial(&self, hub: &Hub) -> (Serial, String) {
        let serial = self.replay.head().next(millis(hub.clock.now()));
        hub.told(serial);
        (serial, hub.series.text(serial))
    }

    fn check(&self, connection: ConnectionId, needed: Modes, name: &'static str) -> Result<(), Refusal> {
        let modes = self.attachments.get(&connection).map(|attachment| attachment.modes);
        let modes = modes.or_else(|| self.away.get(&connection).map(|away| away.modes));
        let modes = modes.filter(|_| !self.gone).ok_or(Refusal::NotAttached)?;
        if modes.contains(needed) { Ok(()) } else { Err(Refusal::NotGranted(name)) }
    }

    fn check_rate(&self, hub: &Hub, count: usize) -> Result<(), Refusal> {
        if takes(&self.rate, count) { Ok(()) } else { Err(Refusal::TooFastInRoom(hub.limits.rate_per_room.get())) }
    }

    fn check_members(
        &self,
        hub: &Hub,
        connection: ConnectionId,
        items: &[(NewPresence, Arc<str>)],
    ) -> Result<(), Refusal> {
        let stays = |(new, _): &&(NewPresence, Arc<str>)| new.action != PresenceAction::Leave;
        let kept = |client: &Arc<str>| self.members.bytes_of(connection, client);
        let joining = items.iter().filter(stays).filter(|(_, client)| kept(client).is_none()).count();
        let max = hub.limits.members_per_room;
        if joining > 0 && self.members.len() + joining > max {
            return Err(Refusal::TooManyMembers(max));
        }
        let added: usize = items.iter().filter(stays).map(|(new, client)| new.payload.size() + client.len()).sum();
        let replaced: usize = items.iter().filter(stays).filter_map(|(_, client)| kept(client)).sum();
        if added > replaced && self.members.bytes() + added - replaced > PRESENCE_BYTES {
            return Err(Refusal::TooMuchPresenceData);
        }
        Ok(())
    }

    /// True if nobody is here, nor can come back to what was.
    fn is_over(&self, now: Instant) -> bool {
        let is_empty = self.attachments.is_empty() && self.members.is_empty();
        is_empty && self.kept_until.is_none_or(|until| until <= now)
    }
}

impl Attachment {
    fn sees_members(&self) -> bool {
        self.modes.contains(Modes::PRESENCE_SUBSCRIBE)
    }

    fn listens(&self) -> bool {
        self.occupancy && self.modes.contains(Modes::SUBSCRIBE)
    }

    /// Its own presence is always told to a connection: it goes by that when it comes back (section 4.3).
    fn is_told(&self, connection: ConnectionId, event: &Event) -> bool {
        match event {
            Event::Messages { from, .. } => self.modes.contains(Modes::SUBSCRIBE) && (self.echo || *from != connection),
            Event::Presence { from, .. } => self.sees_members() || *from == Some(connection),
            _ => false,
        }
    }

    fn update(&self, told: &Arc<Told>) {
        self.outbox.push_occupancy(Arc::clone(told));
    }
}

fn is_ephemeral(message: &Message) -> bool {
    let extras = message.payload.extras.as_ref();
    extras.and_then(|extras| extras.get("ephemeral")) == Some(&Value::Bool(true))
}

fn millis(at: DateTime<Utc>) -> u64 {
    u64::try_from(at.timestamp_millis()).unwrap_or(0)
}
