//! Telling those who are in a channel.

use super::*;

impl Channel {
    pub(super) fn tell_attached(
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
        attachment.tell(&self.told(hub, event));
    }

    /// Tells a connection who is present, in pages; gives how many that are.
    pub(super) fn sync(&self, state: &State, hub: &Hub, connection: ConnectionId) -> usize {
        let Some(attachment) = state.attachments.get(&connection).filter(|a| a.sees_members()) else { return 0 };

        let members: Vec<PresenceItem> = state.members.iter().cloned().collect();
        let (snapshot, pages) = (hub.next_number(), members.len().div_ceil(PAGE));
        for (page, items) in members.chunks(PAGE).enumerate() {
            let is_last = page + 1 == pages;
            let goes_on = if is_last { String::new() } else { (page + 1).to_string() };
            let event = Event::Sync { cursor: format!("sync{snapshot}:{goes_on}"), items: items.to_vec() };
            attachment.tell(&self.told(hub, event));
        }
        members.len()
    }

    /// Tells that members are gone without their own doing.
    pub(super) fn tell_left(&self, state: &mut State, hub: &Hub, left: Vec<PresenceItem>) {
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

    pub(super) fn tell_presence(
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

    pub(super) fn told(&self, hub: &Hub, event: Event) -> Arc<Told> {
        Arc::new(Told::new(Arc::clone(&self.name), hub.clock.now(), event))
    }
}
