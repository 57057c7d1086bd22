//! A client's connection: it outlives the transports that it is used over.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use rand::RngExt as _;
use subtle::ConstantTimeEq as _;

use super::channel::Channel;
use super::outbox::Outbox;
use super::registry::Holder;
use super::session::{Answer, Refusal};
use crate::domain::issue::Issue;
use crate::domain::resource::ResourceId;

/// A limit of so many a second.
pub type Rate = RateLimiter<NotKeyed, InMemoryState, DefaultClock>;

/// Names a connection to everyone; letters and digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

impl From<u64> for ConnectionId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Whom a connection speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Nobody: it can't be present.
    Anonymous,
    /// Whomever it names, each time.
    Anyone,
    Client(Arc<str>),
}

/// Whose a connection is; it can only be resumed by the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub resource: ResourceId,
    pub identity: Identity,
}

/// Why a connection is not resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotResumed {
    /// It is too long ago, or of another start of this service.
    Unknown,
    /// The key is not that of a connection of this client.
    WrongKey,
}

/// What is kept of a connection.
pub struct Connection {
    pub id: ConnectionId,
    pub owner: Owner,
    /// Whose it counts for; none, if it is a backend's.
    pub holder: Option<Holder>,
    secret: [u8; 16],
    pub rate: Rate,
    state: Mutex<State>,
    answers: Mutex<Answers>,
}

pub struct State {
    /// Of the transport that it is used over, and which one that is.
    pub outbox: Option<Arc<Outbox>>,
    pub transport: u64,
    /// Where it is attached, or was when it broke off.
    pub channels: HashMap<Arc<str>, Arc<Channel>>,
    /// How long its members stay after it broke off.
    pub grace: Duration,
    /// It is told its own messages.
    pub echo: bool,
    /// The issue of its token, if that can be revoked.
    pub token_issue: Option<Issue>,
}

/// What the last frames were answered: a client that did not see it sends them again.
#[derive(Default)]
struct Answers {
    next: u64,
    given: VecDeque<(u64, Answer)>,
}

/// How many answers are kept (ably-chat.md, section 3.8).
const ANSWERS: usize = 200;

impl Connection {
    /// A new connection, not used over any transport yet.
    pub fn new(owner: Owner, holder: Option<Holder>, rate: Quota) -> Self {
        let mut random = rand::rng();
        Self {
            id: ConnectionId(random.random()),
            owner,
            holder,
            secret: random.random(),
            rate: Rate::direct(rate),
            state: Mutex::new(State {
                outbox: None,
                transport: 0,
                channels: HashMap::new(),
                grace: Duration::ZERO,
                echo: true,
                token_issue: None,
            }),
            answers: Mutex::default(),
        }
    }

    /// What its client resumes it with: its id, and a secret.
    pub fn key(&self) -> String {
        let secret = u128::from_be_bytes(self.secret);
        format!("{}!{secret:032x}", self.id)
    }

    /// The id in a key, whether or not the key is right.
    pub fn id_in(key: &str) -> Option<ConnectionId> {
        let (id, _) = key.split_once('!')?;
        (id.len() == 16).then(|| u64::from_str_radix(id, 16).ok().map(ConnectionId))?
    }

    /// True for its own key, from its own client.
    pub fn opens_with(&self, key: &str, owner: &Owner) -> bool {
        let is_key: bool = self.key().as_bytes().ct_eq(key.as_bytes()).into();
        is_key && self.owner == *owner
    }

    /// What changes with its transports and rooms. Locked before a channel is, never after.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers frame `serial` by `work`, or as it was answered before. A gap is none of our
    /// concern: frames come in order, and what a client gave up it does not send.
    pub fn once(&self, serial: u64, work: impl FnOnce() -> Answer) -> Answer {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if serial < answers.next {
            let given = answers.given.iter().find(|(given, _)| *given == serial);
            return given.map_or(Err(Refusal::AnsweredLongAgo), |(_, answer)| answer.clone());
        }
        let answer = work();
        answers.next = serial.saturating_add(1);
        if answers.given.len() == ANSWERS {
            answers.given.pop_front();
        }
        answers.given.push_back((serial, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn connection() -> Connection {
        let owner = Owner { resource: uuid::Uuid::nil().into(), identity: Identity::Anonymous };
        Connection::new(owner, None, Quota::per_second(NonZeroU32::MIN))
    }

    #[test]
    fn a_frame_that_comes_again_is_answered_as_before() {
        let connection = connection();
        let first = connection.once(0, || Ok(vec![Some("s".to_owned())]));
        let again = connection.once(0, || panic!("it was done"));

        assert_eq!(first, again);
    }

    #[test]
    fn answers_are_kept_for_a_while_only() {
        let connection = connection();
        for serial in 0..=ANSWERS as u64 {
            let _ = connection.once(serial, || Ok(vec![]));
        }

        assert_eq!(connection.once(0, || Ok(vec![])), Err(Refusal::AnsweredLongAgo));
        assert_eq!(connection.once(1, || panic!("it was done")), Ok(vec![]));
    }

    #[test]
    fn only_the_same_client_with_the_whole_key_resumes() {
        let connection = connection();
        let other = Owner { identity: Identity::Client("ann".into()), ..connection.owner.clone() };
        let key = connection.key();

        assert_eq!(Connection::id_in(&key), Some(connection.id));
        assert!(connection.opens_with(&key, &connection.owner));
        assert!(!connection.opens_with(&key, &other));
        assert!(!connection.opens_with(&key[..key.len() - 1], &connection.owner));
    }
}
