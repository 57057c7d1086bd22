//! What a client does over one transport.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Connection, ConnectionId, Identity};
use super::doors::{Entry, Grant, Who};
use super::event::PresenceAction;
use super::hub::{Hub, Place};
use super::outbox::Outbox;
use super::payload::Payload;
use super::{Limits, Modes};
use crate::domain::issue::Issue;
use crate::domain::room_id::RoomId;

/// A connection while it is used over one transport. Dropped without [`Session::close`], it broke
/// off: its members stay for a while, and it can be resumed.
pub struct Session {
    pub(super) hub: Arc<Hub>,
    pub(super) connection: Arc<Connection>,
    pub(super) transport: u64,
    pub(super) outbox: Arc<Outbox>,
    /// Gives the place on this node back when it is dropped.
    pub(super) _place: Place,
}

/// How a client wants to be in a room.
#[derive(Debug, Clone, Copy)]
pub struct Attach<'a> {
    /// By the name that its client knows it by.
    pub channel: &'a str,
    /// The channel's own name: the same, unless the room has a name and was entered by its id.
    pub place: &'a str,
    /// What it may, of what it asks for.
    pub modes: Modes,
    /// What it would have with any role: as much of it as the credential covers.
    pub asked: Modes,
    pub occupancy: bool,
    /// The serial of the last that it was told there.
    pub since: Option<&'a str>,
    pub who: &'a Who,
    /// By what it was let in.
    pub entry: &'a Entry,
    /// Where others were found to be, before that was read.
    pub found: Option<RoomId>,
}

/// How a connection is in a room, as it was judged last.
#[derive(Debug, Clone)]
pub struct Known {
    /// The channel's own name.
    pub place: Arc<str>,
    pub modes: Modes,
    pub asked: Modes,
    pub occupancy: bool,
    pub who: Who,
    pub entry: Entry,
}

/// What came of going into a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attaching {
    /// It is told of so many members, with so many bytes of their data.
    Done { members: usize, bytes: usize },
    /// The room was changed since it was read who may enter: read again.
    Overtaken,
    /// Others are here by that managed room: read again, and say so. If the name leads elsewhere then, it is gone.
    Belongs(RoomId),
}

/// A message as its client sends it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    pub client_id: Option<String>,
    pub name: Option<String>,
    pub payload: Payload,
    /// It is told to those who are here now, and to nobody who comes back.
    pub is_ephemeral: bool,
}

/// A change of presence as its client sends it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPresence {
    pub id: Option<String>,
    pub client_id: Option<String>,
    pub action: PresenceAction,
    pub payload: Payload,
}

/// What a frame is answered: for each message its serial, if it has one.
pub type Answer = Result<Vec<Option<String>>, Refusal>;

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the connection is not attached to this channel: attach first")]
    NotAttached,
    #[error("the channel was attached without a mode that this needs ({0})")]
    NotGranted(&'static str),
    #[error("the connection is in this room already, by its other name")]
    InsideByOtherName,
    #[error("at most {0} channels a connection")]
    TooManyRooms(usize),
    #[error("at most {0} members a room")]
    TooManyMembers(usize),
    #[error("the presence data of the members of this room, or of all rooms, is more than is kept together")]
    TooMuchPresenceData,
    #[error("a client id is needed to be present: connect with one, or name one")]
    NoClientId,
    #[error("the client id is not that of the connection")]
    OtherClientId,
    #[error("larger than {0} bytes, the most that is taken at once")]
    TooLarge(usize),
    #[error("more than {0} messages a second on this connection")]
    TooFast(u32),
    #[error("more than {0} messages a second in this room")]
    TooFastInRoom(u32),
    #[error("the frame was answered so long ago that the answer is not known any more")]
    AnsweredLongAgo,
    #[error("{0}")]
    Malformed(Cow<'static, str>),
}

/// The longest name of a client, in bytes.
pub const LONGEST_CLIENT_ID: usize = 512;
/// What the service says itself; nobody else may.
const RESERVED: &str = "[meta]";

impl Session {
    /// The name of the connection.
    pub fn id(&self) -> ConnectionId {
        self.connection.id
    }

    /// What it can be resumed with.
    pub fn key(&self) -> String {
        self.connection.key()
    }

    /// Whom it speaks for.
    pub fn identity(&self) -> &Identity {
        &self.connection.owner.identity
    }

    /// What its client is to be told.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Goes into a room, or changes how it is in it.
    ///
    /// # Errors
    /// `TooManyRooms`, `InsideByOtherName`.
    pub fn attach(&self, attach: Attach<'_>) -> Result<Attaching, Refusal> {
        let max = self.hub.limits.rooms_per_connection;
        let mut state = self.connection.state();
        if state.transport != self.transport {
            return Ok(Attaching::Done { members: 0, bytes: 0 }); // another transport goes on for it
        }
        if !state.channels.contains_key(attach.channel) && state.channels.len() >= max {
            // Those that it was made to leave do not count.
            state.channels.retain(|_, channel| channel.holds(self.connection.id));
            if state.channels.len() >= max {
                return Err(Refusal::TooManyRooms(max));
            }
        }
        let is_it = |(name, channel): (&Arc<str>, &Arc<super::channel::Channel>)| {
            **name != *attach.channel && **channel.name() == *attach.place && channel.holds(self.connection.id)
        };
        if state.channels.iter().any(is_it) {
            return Err(Refusal::InsideByOtherName);
        }
        let echo = state.echo;
        let resource = self.connection.owner.resource;
        let (channel, attaching) = self.hub.enter(resource, attach.place, |channel| {
            self.hub.doors.register(resource, attach.entry, channel);
            let attaching = channel.attach(&self.hub, self.connection.id, &self.outbox, attach, echo);
            if attaching.is_none() {
                self.hub.doors.forget(channel); // it was let go of meanwhile
            }
            attaching
        });
        if matches!(attaching, Attaching::Done { .. }) {
            // By another name it was there before it was made to leave.
            state.channels.retain(|_, known| !Arc::ptr_eq(known, &channel));
            state.channels.insert(attach.channel.into(), channel);
        } else {
            self.hub.let_go(&channel); // unless others are there
        }
        Ok(attaching)
    }

    /// How the connection is in a channel, or was when it broke off; `called` is what the channel's room is called.
    pub fn known(&self, channel: &str, called: &str) -> Option<Known> {
        let turn = self.hub.turn(self.connection.owner.resource, called); // before what follows is looked up
        let channel = self.connection.state().channels.get(channel).cloned()?;
        channel.known(&self.hub, self.connection.id, called, turn)
    }

    /// Keeps the issue of the client's token, if it is one that can be revoked.
    pub fn holds_token_of(&self, issue: Option<Issue>) {
        self.connection.state().token_issue = issue;
    }

    /// Leaves a room; its members there leave, too.
    pub fn detach(&self, channel: &str) {
        let mut state = self.connection.state();
        if state.transport == self.transport
            && let Some(channel) = state.channels.remove(channel)
        {
            channel.detach(&self.hub, self.connection.id);
            self.outbox.forget_occupancy(channel.name());
        }
    }

    /// Takes from each attachment what `may` says is not granted any more. Gives the channels where
    /// nothing is left.
    pub fn regrant(&self, may: impl Fn(&str) -> Grant) -> Vec<Arc<str>> {
        let mut state = self.connection.state();
        let mut lost = Vec::new();
        state.channels.retain(|name, channel| {
            let stays = channel.regrant(&self.hub, self.connection.id, may(name));
            if !stays {
                channel.detach(&self.hub, self.connection.id);
                lost.push(Arc::clone(name));
            }
            stays
        });
        lost
    }

    /// Publishes a frame's messages.
    pub fn publish(&self, serial: u64, channel: &str, mut messages: Vec<NewMessage>, claim: Option<&str>) -> Answer {
        self.connection.once(serial, || {
            let limits = &self.hub.limits;
            let size = |m: &NewMessage| {
                let names = [&m.name, &m.client_id].into_iter().flatten().map(String::len).sum::<usize>();
                m.payload.size() + names
            };
            check_size(messages.iter().map(size).sum(), limits)?;
            if messages.iter().any(|m| m.name.as_ref().is_some_and(|name| name.starts_with(RESERVED))) {
                return Err(Refusal::Malformed("names that begin with [meta] are the service's own".into()));
            }
            stamp_claim(messages.iter_mut().map(|message| &mut message.payload), claim);
            let client_ids = messages.iter().map(|m| self.speaker(m.client_id.as_deref()));
            let client_ids = client_ids.collect::<Result<Vec<_>, _>>()?;
            self.check_rate(messages.len())?;
            let channel = self.channel(channel)?;
            channel.publish(&self.hub, self.connection.id, serial, messages.into_iter().zip(client_ids).collect())
        })
    }

    /// Changes who is present.
    pub fn presence(&self, serial: u64, channel: &str, mut items: Vec<NewPresence>, claim: Option<&str>) -> Answer {
        self.connection.once(serial, || {
            let size = |item: &NewPresence| item.payload.size() + item.client_id.as_ref().map_or(0, String::len);
            check_size(items.iter().map(size).sum(), &self.hub.limits)?;
            stamp_claim(items.iter_mut().map(|item| &mut item.payload), claim);
            let speaker = |item: &NewPresence| self.speaker(item.client_id.as_deref())?.ok_or(Refusal::NoClientId);
            let client_ids = items.iter().map(speaker).collect::<Result<Vec<_>, _>>()?;
            let channel = self.channel(channel)?;
            channel.presence(&self.hub, &self.connection, serial, items.into_iter().zip(client_ids).collect())
        })
    }

    /// How many of those clients, by the names that a frame gives them, are not members of the channel yet.
    pub fn entering<'a>(&self, channel: &str, clients: impl Iterator<Item = Option<&'a str>>) -> usize {
        let Ok(channel) = self.channel(channel) else { return 0 };
        let clients: Vec<Arc<str>> = clients.filter_map(|named| self.speaker(named).ok()?).collect();
        channel.entering(self.connection.id, &clients)
    }

    /// Lets so many members enter a channel now.
    ///
    /// # Errors
    /// How long they have to wait before it is worth trying again.
    pub fn let_enter(&self, channel: &str, count: usize) -> Result<(), Duration> {
        match self.channel(channel) {
            Ok(channel) if count > 0 => channel.let_enter(self.connection.id, count),
            _ => Ok(()),
        }
    }

    /// Ends the connection for good: it leaves every room at once.
    pub fn close(self) {
        let mut state = self.connection.state();
        if state.transport == self.transport {
            state.outbox = None;
            for (_, channel) in state.channels.drain() {
                channel.detach(&self.hub, self.connection.id);
            }
            drop(state);
            self.hub.forget(self.connection.id);
        }
    }

    /// Who says something: the client of the connection, or whom it names if it may.
    fn speaker(&self, named: Option<&str>) -> Result<Option<Arc<str>>, Refusal> {
        match (&self.connection.owner.identity, named) {
            (_, Some("*" | "")) => Err(Refusal::OtherClientId),
            (_, Some(named)) if named.len() > LONGEST_CLIENT_ID => {
                Err(Refusal::Malformed(format!("a client id has at most {LONGEST_CLIENT_ID} bytes").into()))
            }
            (Identity::Client(id), None) => Ok(Some(Arc::clone(id))),
            (Identity::Client(id), Some(named)) if **id == *named => Ok(Some(Arc::clone(id))),
            (Identity::Anyone, Some(named)) => Ok(Some(named.into())),
            (Identity::Anyone | Identity::Anonymous, None) => Ok(None),
            (Identity::Client(_) | Identity::Anonymous, Some(_)) => Err(Refusal::OtherClientId),
        }
    }

    fn check_rate(&self, count: usize) -> Result<(), Refusal> {
        let rate = self.hub.limits.rate_per_connection;
        if super::hub::takes(&self.connection.rate, count) { Ok(()) } else { Err(Refusal::TooFast(rate.get())) }
    }

    fn channel(&self, name: &str) -> Result<Arc<super::channel::Channel>, Refusal> {
        self.connection.state().channels.get(name).cloned().ok_or(Refusal::NotAttached)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.connection.state();
        if state.transport != self.transport || state.outbox.is_none() {
            return; // superseded, or closed
        }
        state.outbox = None;
        let now = Instant::now();
        let leaves_at = now + state.grace;
        state.channels.values().for_each(|channel| channel.lose(&self.hub, self.connection.id, leaves_at));
        drop(state);
        self.hub.park(self.connection.id, now);
    }
}

/// The shortest and the longest time that members stay after their connection broke off.
pub(super) fn grace(asked: Option<Duration>) -> Duration {
    const USUAL: Duration = Duration::from_secs(15);
    asked.map_or(USUAL, |asked| asked.clamp(Duration::from_secs(1), super::RESUMABLE_FOR))
}

fn check_size(size: usize, limits: &Limits) -> Result<(), Refusal> {
    if size > limits.message_size { Err(Refusal::TooLarge(limits.message_size)) } else { Ok(()) }
}

/// What a token says of its user in a room goes with all that the user says there, and only that
/// (ably-chat.md, section 4.9).
fn stamp_claim<'a>(payloads: impl Iterator<Item = &'a mut Payload>, claim: Option<&str>) {
    let claim: Option<Arc<str>> = claim.map(Arc::from);
    payloads.for_each(|payload| payload.claim.clone_from(&claim));
}
