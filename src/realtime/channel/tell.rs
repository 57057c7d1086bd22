//! Telling those who are in a channel.

use super::*;

impl Channel {
    pub(super) fn tell_attached(
        &self,
        state: &mut State,
        hub: &Hub,
        connection: ConnectionId,
        resumed: bool,
        continuity_lost: bool,
        serial: Serial,
    ) {
        let at = self.now(state, hub);
        let Some(attachment) = state.attachments.get(&connection) else { return };
        let event = Event::Attached(Attached {
            modes: attachment.modes,
            has_presence: attachment.sees_members() && !state.members.is_empty(),
            resumed,
            continuity_lost,
            occupancy: attachment.occupancy,
            serial: hub.series.text(serial),
        });
        attachment.tell(&self.told(at, event));
    }

    /// Tells a connection who is present, in pages; gives how many that are.
    pub(super) fn sync(&self, state: &mut State, hub: &Hub, connection: ConnectionId) -> usize {
        let at = self.now(state, hub);
        let Some(attachment) = state.attachments.get(&connection).filter(|a| a.sees_members()) else { return 0 };

        // Who attaches while others are told of the same members shares their pages: each is rendered once.
        let version = state.members.version();
        let shared: Option<Vec<Arc<Told>>> = state.snapshot.1.iter().map(Weak::upgrade).collect();
        if let Some(pages) = shared.filter(|pages| state.snapshot.0 == version && !pages.is_empty()) {
            pages.iter().for_each(|page| attachment.tell(page));
            return state.members.len();
        }
        let members: Vec<Arc<PresenceItem>> = state.members.iter().cloned().collect();
        let snapshot = hub.next_number();
        let mut pages = Vec::new();
        let mut rest = &members[..];
        for page in 1.. {
            let (items, further) = rest.split_at(page_of(rest));
            if items.is_empty() {
                break;
            }
            rest = further;
            let goes_on = if rest.is_empty() { String::new() } else { page.to_string() };
            let event = Event::Sync { cursor: format!("sync{snapshot}:{goes_on}"), items: items.to_vec() };
            let page = self.told(at, event);
            attachment.tell(&page);
            pages.push(Arc::downgrade(&page));
        }
        state.snapshot = (version, pages);
        members.len()
    }

    /// Tells that members are gone without their own doing.
    pub(super) fn tell_left(&self, state: &mut State, hub: &Hub, left: Vec<Arc<PresenceItem>>) {
        if left.is_empty() {
            return;
        }
        // Not an id of the connection: such a leave goes by its time (ably-chat.md, section 5, newness).
        let id = hub.next_id();
        let serial = self.next_serial(state, hub);
        let items = left.into_iter().enumerate().map(|(index, item)| {
            let (id, timestamp) = (format!("{id}:{index}"), serial.instant());
            Arc::new(PresenceItem { id, action: PresenceAction::Leave, timestamp, ..PresenceItem::clone(&item) })
        });
        self.tell_presence(state, hub, serial, None, id.clone(), items.collect());
    }

    pub(super) fn tell_presence(
        &self,
        state: &mut State,
        hub: &Hub,
        serial: Serial,
        from: Option<ConnectionId>,
        id: String,
        items: Vec<Arc<PresenceItem>>,
    ) {
        let event = Event::Presence { from, id, serial: hub.series.text(serial), items };
        let told = self.told(serial.instant(), event);
        state.replay.push(serial, Instant::now(), Arc::clone(&told));
        state.tell(&told);
    }

    pub(super) fn told(&self, at: DateTime<Utc>, event: Event) -> Arc<Told> {
        let told = Told::new(Arc::clone(&self.name), at, event);
        told.count_waiting(&self.output);
        Arc::new(told)
    }

    /// The next place in the channel's order. Its time is that of whatever is told by it.
    pub(super) fn next_serial(&self, state: &mut State, hub: &Hub) -> Serial {
        state.latest = state.latest.next(hub.millis());
        self.order.handed_out(state.latest);
        state.latest
    }

    /// The time of what has no place in the order: the clock's, unless that went back.
    pub(super) fn now(&self, state: &mut State, hub: &Hub) -> DateTime<Utc> {
        state.latest = state.latest.not_before(hub.millis());
        self.order.handed_out(state.latest);
        state.latest.instant()
    }
}

/// How many members make the first page: at least one, if there is any.
fn page_of(members: &[Arc<PresenceItem>]) -> usize {
    let mut bytes = 0;
    let fits = members.iter().take(PAGE).take_while(|member| {
        bytes += member.size();
        bytes <= PAGE_BYTES
    });
    fits.count().max(1).min(members.len())
}
