//! The connections of a node: those that are used, and those that can be resumed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use super::connection::{Connection, ConnectionId, NotResumed, Owner};
use super::hub::Full;
use crate::domain::resource::ResourceId;

/// Connections that are used, or can be resumed.
#[derive(Default)]
pub struct Registry {
    connections: HashMap<ConnectionId, Arc<Connection>>,
    /// Those that broke off, by when they are forgotten; and when that is of each.
    parked: BTreeSet<(Instant, ConnectionId)>,
    forgotten_at: HashMap<ConnectionId, Instant>,
    /// How many each holder has.
    of_holder: HashMap<Holder, usize>,
}

/// Whose connections are counted together: a client, or a token that names none.
pub type Holder = (ResourceId, Arc<str>);

impl Registry {
    /// The connection that a key is of, if its owner comes with it.
    pub fn find(&self, key: &str, owner: &Owner) -> Result<Arc<Connection>, NotResumed> {
        let id = Connection::id_in(key).ok_or(NotResumed::WrongKey)?;
        let connection = self.connections.get(&id).ok_or(NotResumed::Unknown)?;
        if connection.opens_with(key, owner) { Ok(Arc::clone(connection)) } else { Err(NotResumed::WrongKey) }
    }

    /// A new connection.
    pub fn add(&mut self, connection: &Arc<Connection>) {
        if let Some(holder) = &connection.holder {
            *self.of_holder.entry(holder.clone()).or_default() += 1;
        }
        self.connections.insert(connection.id, Arc::clone(connection));
    }

    /// A connection that is over.
    pub fn remove(&mut self, id: ConnectionId) -> Option<Arc<Connection>> {
        let connection = self.connections.remove(&id)?;
        if let Some(holder) = &connection.holder
            && let Some(count) = self.of_holder.get_mut(holder)
        {
            *count -= 1;
            if *count == 0 {
                self.of_holder.remove(holder);
            }
        }
        Some(connection)
    }

    /// Makes room for one more connection of a holder: the oldest of its own that broke off is forgotten.
    ///
    /// # Errors
    /// `Full::Holder`.
    pub fn make_room_for(&mut self, holder: &Holder, most: usize) -> Result<(), Full> {
        if self.of_holder.get(holder).is_none_or(|count| *count < most) {
            return Ok(());
        }
        let is_theirs = |id: &ConnectionId| {
            self.connections.get(id).is_some_and(|connection| connection.holder.as_ref() == Some(holder))
        };
        let oldest = self.parked.iter().map(|(_, id)| *id).find(is_theirs).ok_or(Full::Holder)?;
        self.unpark(oldest);
        self.give_up(oldest);
        Ok(())
    }

    /// A connection came back, or is over.
    pub fn unpark(&mut self, connection: ConnectionId) {
        if let Some(at) = self.forgotten_at.remove(&connection) {
            self.parked.remove(&(at, connection));
        }
    }

    /// Forgets those whose time is over.
    pub fn forget_expired(&mut self, now: Instant) {
        while self.parked.first().is_some_and(|(at, _)| *at <= now) {
            self.forget_first();
        }
    }

    /// Keeps a connection that broke off until then; if there are more than `most`, the oldest is forgotten.
    pub fn park(&mut self, connection: ConnectionId, until: Instant, most: usize) {
        self.unpark(connection);
        self.parked.insert((until, connection));
        self.forgotten_at.insert(connection, until);
        if self.parked.len() > most {
            self.forget_first();
        }
    }

    /// When the first of those that broke off is forgotten.
    pub fn first_end(&self) -> Option<Instant> {
        self.parked.first().map(|(at, _)| *at)
    }

    /// The connection of that id.
    pub fn get(&self, id: ConnectionId) -> Option<&Arc<Connection>> {
        self.connections.get(&id)
    }

    /// Every connection.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.connections.values()
    }

    fn forget_first(&mut self) {
        let Some((_, id)) = self.parked.pop_first() else { return };
        self.forgotten_at.remove(&id);
        self.give_up(id);
    }

    fn give_up(&mut self, id: ConnectionId) {
        if let Some(connection) = self.remove(id) {
            connection.state().channels.drain().for_each(|(_, channel)| channel.forget(id));
        }
    }
}
