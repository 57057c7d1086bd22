//! What a channel keeps of those who are in it, and whom it tells what.

use super::*;

impl State {
    /// Puts an attachment in the place of what was there; true if one was.
    pub(super) fn put(&mut self, connection: ConnectionId, attachment: Attachment) -> bool {
        let was_here = self.take(connection).is_some();
        self.away.remove(&connection);
        self.count(attachment.modes, 1);
        self.listeners += usize::from(attachment.listens());
        self.attachments.insert(connection, attachment);
        was_here
    }

    pub(super) fn take(&mut self, connection: ConnectionId) -> Option<Attachment> {
        let attachment = self.attachments.remove(&connection)?;
        self.count(attachment.modes, -1);
        self.listeners -= usize::from(attachment.listens());
        Some(attachment)
    }

    pub(super) fn count(&mut self, modes: Modes, by: i32) {
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
    pub(super) fn missed(
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

    pub(super) fn tell(&self, told: &Arc<Told>) {
        for (connection, attachment) in &self.attachments {
            if attachment.is_told(*connection, &told.event) {
                attachment.tell(told);
            }
        }
    }

    pub(super) fn check(&self, connection: ConnectionId, needed: Modes, name: &'static str) -> Result<(), Refusal> {
        let modes = self.attachments.get(&connection).map(|attachment| attachment.modes);
        let modes = modes.or_else(|| self.away.get(&connection).map(|away| away.modes));
        let modes = modes.filter(|_| !self.gone).ok_or(Refusal::NotAttached)?;
        if modes.contains(needed) { Ok(()) } else { Err(Refusal::NotGranted(name)) }
    }

    pub(super) fn check_rate(&mut self, hub: &Hub, connection: ConnectionId, count: usize) -> Result<(), Refusal> {
        let too_fast = |_| Refusal::TooFastInRoom(hub.limits.rate_per_room.get());
        if count == 0 { Ok(()) } else { self.messages.take(connection, count, Instant::now()).map_err(too_fast) }
    }

    /// Those of the clients that are not members of the connection yet.
    pub(super) fn entering<'a>(
        &self,
        connection: ConnectionId,
        clients: impl IntoIterator<Item = &'a Arc<str>>,
    ) -> Vec<&'a Arc<str>> {
        clients.into_iter().filter(|client| !self.members.has(connection, client)).collect()
    }

    /// True if an item has to be told to nobody: a client that came back repeats its members, to be sure (section 3.9).
    /// And one that did not hear yet that it was made to leave does not enter by that.
    pub(super) fn is_repeated(&self, connection: ConnectionId, new: &NewPresence, client_id: &Arc<str>) -> bool {
        let is_known = |id: &String| {
            self.evicted.contains_key(id) || self.members.is_repeated(connection, client_id, id, &new.payload)
        };
        new.action != PresenceAction::Leave && new.id.as_ref().is_some_and(is_known)
    }

    /// Checks that a frame's members fit in. Where the room is full, a client takes over the place of its own member
    /// whose connection broke off: those are given, to be told that they left.
    pub(super) fn check_members(
        &self,
        hub: &Hub,
        connection: ConnectionId,
        items: &[(NewPresence, Arc<str>)],
    ) -> Result<Vec<(ConnectionId, Arc<str>)>, Refusal> {
        let stays = |(new, _): &&(NewPresence, Arc<str>)| new.action != PresenceAction::Leave;
        let joining = self.entering(connection, items.iter().filter(stays).map(|(_, client)| client));
        let max = hub.limits.members_per_room;
        let excess = (self.members.len() + joining.len()).saturating_sub(max);
        let taken_over = match (excess, joining.is_empty()) {
            (0, _) | (_, true) => Vec::new(),
            _ => self.members.broken_off(&joining, excess),
        };
        if !joining.is_empty() && taken_over.len() < excess {
            return Err(Refusal::TooManyMembers(max));
        }
        // Of a client that a frame names twice, its last item is kept.
        let last: BTreeMap<_, _> = items.iter().filter(stays).map(|(new, client)| (client, &new.payload)).collect();
        let sum = |of: &dyn Fn(&Arc<str>, &Payload) -> usize| last.iter().map(|(client, new)| of(client, new)).sum();
        let was = |client: &Arc<str>| self.members.get(connection, client);
        let added: usize = sum(&|client, new| PresenceItem::size_with(new, client));
        let replaced: usize = sum(&|client, _| was(client).map_or(0, |item| item.size()));
        let fits = added <= replaced || self.members.bytes() + added - replaced <= PRESENCE_BYTES;
        let added: usize = sum(&|client, new| Members::memory_with(new, client));
        let replaced: usize = sum(&|client, _| was(client).map_or(0, |was| Members::memory_with(&was.payload, client)));
        if !fits || !self.members.fit(added, replaced) {
            return Err(Refusal::TooMuchPresenceData);
        }
        Ok(taken_over)
    }

    /// True if nobody is here, nor can come back to what was.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let is_empty = self.attachments.is_empty() && self.members.is_empty();
        is_empty && self.kept_until.is_none_or(|until| until <= now)
    }
}

impl Attachment {
    pub(super) fn sees_members(&self) -> bool {
        self.modes.contains(Modes::PRESENCE_SUBSCRIBE)
    }

    pub(super) fn listens(&self) -> bool {
        self.occupancy && self.modes.contains(Modes::SUBSCRIBE)
    }

    /// Its own presence is always told to a connection: it goes by that when it comes back (section 4.3).
    pub(super) fn is_told(&self, connection: ConnectionId, event: &Event) -> bool {
        match event {
            Event::Messages { from, .. } => self.modes.contains(Modes::SUBSCRIBE) && (self.echo || *from != connection),
            Event::Presence { from, .. } => self.sees_members() || *from == Some(connection),
            _ => false,
        }
    }

    pub(super) fn tell(&self, told: &Arc<Told>) {
        self.outbox.push(Tell::Shared(self.hears(told)));
    }

    pub(super) fn update(&self, told: &Arc<Told>) {
        self.outbox.push_occupancy(self.hears(told));
    }

    fn hears(&self, told: &Arc<Told>) -> Heard {
        Heard { told: Arc::clone(told), alias: self.alias.clone() }
    }
}
