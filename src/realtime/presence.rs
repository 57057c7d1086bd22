//! Who is present in a room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::connection::ConnectionId;
use super::event::PresenceItem;
use super::memory::Memory;
use super::payload::Payload;

/// A member is a client on a connection: the same client on two is two (ably-chat.md, section 5).
pub type Who = (ConnectionId, Arc<str>);

/// The members of a room.
#[derive(Debug)]
pub struct Members {
    members: BTreeMap<Who, Member>,
    bytes: usize,
    memory: usize,
    of_node: Arc<Memory>,
    /// Counts changes.
    version: u64,
}

/// What a member takes besides its item; a third of the places in a tree may be empty.
const PLACE: usize = size_of::<(Who, Member)>() * 3 / 2;

#[derive(Debug)]
struct Member {
    item: Arc<PresenceItem>,
    /// The frame and the place in it that it was last heard in.
    heard: (u64, usize),
    /// Its connection broke off, and has until then to come back.
    leaves_at: Option<Instant>,
}

impl Members {
    /// None yet.
    pub fn new(of_node: Arc<Memory>) -> Self {
        Self { members: BTreeMap::new(), bytes: 0, memory: 0, of_node, version: 0 }
    }

    /// Another one after each change of who is a member, or with what.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Bytes of what all of them keep here, about as it goes out.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True if somebody is a member.
    pub fn has(&self, connection: ConnectionId, client_id: &Arc<str>) -> bool {
        self.get(connection, client_id).is_some()
    }

    /// What is kept of a member.
    pub fn get(&self, connection: ConnectionId, client_id: &Arc<str>) -> Option<&Arc<PresenceItem>> {
        self.members.get(&(connection, Arc::clone(client_id))).map(|member| &member.item)
    }

    /// True if the node has memory for items of so many bytes in the place of others.
    pub fn fit(&self, added: usize, replaced: usize) -> bool {
        self.of_node.takes(added, replaced)
    }

    /// Bytes that a member takes in memory.
    pub fn memory_with(payload: &Payload, client_id: &str) -> usize {
        PLACE + PresenceItem::memory_with(payload, client_id)
    }

    /// True if the member is there just so: it was repeated by a client that came back.
    pub fn is_repeated(&self, connection: ConnectionId, client_id: &Arc<str>, id: &str, payload: &Payload) -> bool {
        self.get(connection, client_id).is_some_and(|item| item.id == id && item.payload == *payload)
    }

    /// Puts a member in, or in the place of what it was.
    pub fn put(&mut self, item: Arc<PresenceItem>, heard: (u64, usize)) {
        let who = (item.connection, Arc::clone(&item.client_id));
        self.version += 1;
        let (bytes, memory) = sizes(&item);
        self.bytes += bytes;
        self.memory += memory;
        self.of_node.add(memory);
        if let Some(old) = self.members.insert(who, Member { item, heard, leaves_at: None }) {
            self.release(&old.item);
        }
    }

    /// Takes a member out, as it last was.
    pub fn remove(&mut self, connection: ConnectionId, client_id: &Arc<str>) -> Option<Arc<PresenceItem>> {
        let member = self.members.remove(&(connection, Arc::clone(client_id)))?;
        self.release(&member.item);
        Some(member.item)
    }

    fn release(&mut self, item: &PresenceItem) {
        self.version += 1;
        let (bytes, memory) = sizes(item);
        self.bytes -= bytes;
        self.memory -= memory;
        self.of_node.sub(memory);
    }

    /// Takes out all members of a connection.
    pub fn remove_all(&mut self, connection: ConnectionId) -> Vec<Arc<PresenceItem>> {
        let clients: Vec<Arc<str>> = self.of(connection).map(|(client, _)| Arc::clone(client)).collect();
        clients.iter().filter_map(|client| self.remove(connection, client)).collect()
    }

    /// Takes out every member of that client id; each with an id that its own client takes for its
    /// own doing, so that it does not come back by itself (section 3.7). With the id that it had.
    pub fn remove_client(&mut self, client_id: &str) -> Vec<(String, PresenceItem)> {
        let of_client = self.members.iter().filter(|((_, client), _)| **client == *client_id);
        let found: Vec<(Who, (u64, usize))> = of_client.map(|(who, member)| (who.clone(), member.heard)).collect();
        let take = |((connection, client), (serial, index)): (Who, (u64, usize))| {
            let item = self.remove(connection, &client)?;
            let id = format!("{connection}:{serial}:{}", index + 1);
            Some((item.id.clone(), PresenceItem { id, ..PresenceItem::clone(&item) }))
        };
        found.into_iter().filter_map(take).collect()
    }

    /// Members of those clients, `most` of them and one of each, whose connections broke off.
    pub fn broken_off(&self, clients: &[&Arc<str>], most: usize) -> Vec<Who> {
        let of = |client: &&Arc<str>| {
            let mut leaving = self.members.iter().filter(|(_, member)| member.leaves_at.is_some());
            leaving.find(|((_, id), _)| id == *client).map(|(who, _)| who.clone())
        };
        let found: BTreeSet<Who> = clients.iter().filter_map(of).collect();
        found.into_iter().take(most).collect()
    }

    /// Everyone.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PresenceItem>> {
        self.members.values().map(|member| &member.item)
    }

    /// The members of a connection leave at that time, or stay. False if it has none.
    pub fn leave(&mut self, connection: ConnectionId, at: Option<Instant>) -> bool {
        let mut any = false;
        for (_, member) in self.of_mut(connection) {
            member.leaves_at = at;
            any = true;
        }
        any
    }

    /// When the next one leaves.
    pub fn next_leave(&self) -> Option<Instant> {
        self.members.values().filter_map(|member| member.leaves_at).min()
    }

    /// Takes out those whose time is over.
    pub fn remove_due(&mut self, now: Instant) -> Vec<Arc<PresenceItem>> {
        let is_due = |member: &Member| member.leaves_at.is_some_and(|at| at <= now);
        let due: Vec<Who> = self.members.iter().filter(|(_, m)| is_due(m)).map(|(who, _)| who.clone()).collect();
        due.iter().filter_map(|(connection, client)| self.remove(*connection, client)).collect()
    }

    fn of(&self, connection: ConnectionId) -> impl Iterator<Item = (&Arc<str>, &Member)> {
        let from = (connection, Arc::from(""));
        self.members.range(from..).take_while(move |((c, _), _)| *c == connection).map(|((_, client), m)| (client, m))
    }

    fn of_mut(&mut self, connection: ConnectionId) -> impl Iterator<Item = (&Arc<str>, &mut Member)> {
        let from = (connection, Arc::from(""));
        let of = self.members.range_mut(from..).take_while(move |((c, _), _)| *c == connection);
        of.map(|((_, client), m)| (client, m))
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.of_node.sub(self.memory);
    }
}

/// Bytes of an item, about as it goes out, and of its member in memory.
fn sizes(item: &PresenceItem) -> (usize, usize) {
    (item.size(), Members::memory_with(&item.payload, &item.client_id))
}
