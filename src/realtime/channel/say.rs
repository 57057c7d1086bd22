//! What those who are in a channel say there.

use super::*;

impl Channel {
    /// Tells everyone here what `connection` says.
    pub fn publish(
        &self,
        hub: &Hub,
        connection: ConnectionId,
        frame: u64,
        messages: Vec<(NewMessage, Option<Arc<str>>)>,
    ) -> Answer {
        let mut state = self.lock();
        state.check(connection, Modes::PUBLISH, "publish")?;
        state.check_rate(hub, connection, messages.len())?;
        let id = format!("{connection}:{frame}");
        let message = |index, (new, client_id): (NewMessage, Option<Arc<str>>)| {
            let id = format!("{id}:{index}");
            Message { id, client_id, name: new.name, payload: new.payload, serial: None }
        };
        let messages = messages.into_iter().enumerate();
        // What is ephemeral has no place in the room's order, and is not told to who comes back.
        let (lasting, ephemeral): (Vec<_>, Vec<_>) = messages.partition(|(_, (new, _))| !new.is_ephemeral);
        let mut serials = vec![None; lasting.len() + ephemeral.len()];
        let event = |serial, messages| Event::Messages { from: connection, id: id.clone(), serial, messages };
        if !lasting.is_empty() {
            let serial = self.next_serial(&mut state, hub);
            let text = hub.series.text(serial);
            let with_serial = |(place, (index, new))| {
                let serial = format!("{text}:{place:03}");
                serials[index] = Some(serial.clone());
                Message { serial: Some(serial), ..message(index, new) }
            };
            let messages = lasting.into_iter().enumerate().map(with_serial).collect();
            let told = self.told(serial.instant(), event(Some(text.clone()), messages));
            state.replay.push(serial, Instant::now(), Arc::clone(&told));
            state.tell(&told);
        }
        if !ephemeral.is_empty() {
            let messages = ephemeral.into_iter().map(|(index, new)| message(index, new)).collect();
            let at = self.now(&mut state, hub);
            state.tell(&self.told(at, event(None, messages)));
        }
        Ok(serials)
    }

    /// Changes who is present, for members of `connection`.
    pub fn presence(
        self: &Arc<Self>,
        hub: &Hub,
        connection: &Connection,
        frame: u64,
        items: Vec<(NewPresence, Arc<str>)>,
    ) -> Answer {
        let mut state = self.lock();
        let rate = &connection.rate;
        let connection = connection.id;
        state.check(connection, Modes::PRESENCE, "presence")?;
        let taken_over = state.check_members(hub, connection, &items)?;
        // To leave is free, and so is what the SDK does by itself: to enter, and to repeat that.
        let is_update = |(new, client): &&(NewPresence, Arc<str>)| {
            state.members.has(connection, client)
                && new.action != PresenceAction::Leave
                && !state.is_repeated(connection, new, client)
        };
        let updates = items.iter().filter(is_update).count();
        if !takes(rate, updates) {
            return Err(Refusal::TooFast(hub.limits.rate_per_connection.get()));
        }
        state.check_rate(hub, connection, updates)?;
        let left = taken_over.iter().filter_map(|(of, client)| state.members.remove(*of, client)).collect();
        self.tell_left(&mut state, hub, left);
        let id = format!("{connection}:{frame}");
        let serial = self.next_serial(&mut state, hub);
        let timestamp = serial.instant();
        let mut done = Vec::new();
        for (index, (new, client_id)) in items.into_iter().enumerate() {
            let item_id = format!("{id}:{index}");
            let is_repeated = state.is_repeated(connection, &new, &client_id);
            let NewPresence { action, payload, .. } = new;
            let item = |payload| PresenceItem { id: item_id, action, connection, client_id, payload, timestamp };
            if action == PresenceAction::Leave {
                // A leave without data repeats the member's last; of one who is not there it is nothing.
                let mut item = item(payload);
                let Some(was) = state.members.remove(connection, &item.client_id) else { continue };
                if item.payload.data.is_none() {
                    item.payload = was.payload.clone();
                }
                done.push(Arc::new(item));
            } else if !is_repeated {
                let item = Arc::new(item(payload));
                state.members.put(Arc::clone(&item), (frame, index));
                done.push(item);
            }
        }
        if !done.is_empty() {
            self.tell_presence(&mut state, hub, serial, Some(connection), id, done);
            self.changed(&mut state, hub, Instant::now());
        }
        Ok(Vec::new())
    }

    /// How many of those clients are not members of the connection yet.
    pub fn entering(&self, connection: ConnectionId, clients: &[Arc<str>]) -> usize {
        self.lock().entering(connection, clients).len()
    }

    /// Lets so many members of a connection enter now, or gives how long they have to wait.
    pub fn let_enter(&self, connection: ConnectionId, count: usize) -> Result<(), Duration> {
        self.lock().entries.take(connection, count, Instant::now())
    }

    /// Makes every member of a client leave; it does not come back by itself. Gives how many there were.
    pub fn evict(self: &Arc<Self>, hub: &Hub, client_id: &str) -> usize {
        let mut state = self.lock();
        let left = state.members.remove_client(client_id);
        let count = left.len();
        for (had, item) in left {
            state.evicted.insert(had, Instant::now());
            let serial = self.next_serial(&mut state, hub);
            let item = PresenceItem { action: PresenceAction::Leave, timestamp: serial.instant(), ..item };
            let id = hub.next_id();
            self.tell_presence(&mut state, hub, serial, None, id, vec![Arc::new(item)]);
        }
        self.changed(&mut state, hub, Instant::now());
        count
    }
}
