//! Judging those who are in a channel: who may stay, and with what.

use super::*;

impl Channel {
    /// Judges anew everyone who is here by `room`, and those who are here by none: who may not be
    /// here is told why and leaves, and who may have other things than before is told so in place. Of whom nothing
    /// can be said stays; true if there is one.
    pub fn judge(
        self: &Arc<Self>,
        hub: &Hub,
        room: Option<RoomId>,
        may: impl Fn(&Who) -> Option<Result<Grant, Refused>>,
    ) -> bool {
        let concerns = |by: Option<RoomId>| by.is_none() || by == room;
        let mut state = self.lock();
        let mut is_left = false;
        let mut verdicts: Vec<(ConnectionId, Result<Grant, Refused>)> = Vec::new();
        for (connection, attachment) in state.attachments.iter_mut().filter(|(_, a)| concerns(a.room)) {
            match may(&attachment.who) {
                Some(verdict) => {
                    attachment.room = room;
                    verdicts.push((*connection, verdict));
                }
                None => is_left = true,
            }
        }
        if state.room.is_none() {
            state.room = room;
        }
        for (connection, verdict) in verdicts {
            match verdict {
                Ok(grant) => self.set_modes(&mut state, hub, connection, grant),
                Err(refused) => self.eject(&mut state, hub, connection, refused),
            }
        }
        let mut gone = Vec::new();
        state.away.retain(|connection, away| {
            if !concerns(away.room) {
                return true;
            }
            match may(&away.who) {
                Some(Ok(grant)) => (away.room, away.modes) = (room, away.asked & grant.modes),
                Some(Err(_)) => gone.push(*connection),
                None => is_left = true,
            }
            gone.last() != Some(connection)
        });
        for connection in gone {
            let left = state.members.remove_all(connection);
            self.tell_left(&mut state, hub, left);
        }
        self.settle(state, hub);
        is_left
    }

    /// A managed room is gone: who is here by it leaves. What was said there is told to nobody who comes next.
    pub fn close(self: &Arc<Self>, hub: &Hub, room: RoomId) {
        let mut state = self.lock();
        self.empty(&mut state, hub, room);
        self.settle(state, hub);
    }

    pub(super) fn empty(&self, state: &mut State, hub: &Hub, room: RoomId) {
        let is_here = |by: Option<RoomId>| by == Some(room);
        let inside = state.attachments.iter().filter(|(_, attachment)| is_here(attachment.room));
        let inside: Vec<ConnectionId> = inside.map(|(connection, _)| *connection).collect();
        for connection in inside {
            self.eject(state, hub, connection, Refused::NoSuchRoom);
        }
        let away: Vec<ConnectionId> =
            state.away.extract_if(|_, away| is_here(away.room)).map(|(connection, _)| connection).collect();
        for connection in away {
            let left = state.members.remove_all(connection);
            self.tell_left(state, hub, left);
        }
        if is_here(state.room) {
            state.room = None;
            state.replay.forget();
        }
    }

    /// Attachments are others now, and may be none any more.
    pub(super) fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State>, hub: &Hub) {
        self.changed(&mut state, hub, Instant::now());
        let is_over = state.is_over(Instant::now());
        drop(state);
        if is_over {
            hub.let_go(self);
        }
    }

    /// Makes a connection leave, and tells it why.
    pub(super) fn eject(&self, state: &mut State, hub: &Hub, connection: ConnectionId, refused: Refused) {
        if let Some(attachment) = state.take(connection) {
            attachment.outbox.forget_occupancy(&self.name);
            attachment.tell(&self.told(self.now(state, hub), Event::Ejected(refused)));
        }
        let left = state.members.remove_all(connection);
        self.tell_left(state, hub, left);
    }
}
