//! What was changed, for the other replicas: a hint to look at once, at a table that they look at anyway.

use std::fmt;
use std::mem;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use super::{Context, ServiceError};
use crate::domain::resource::ResourceId;
use crate::domain::room_id::RoomId;
use crate::store;
pub use crate::store::changes::Listener;

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Of a managed room or its roster; also its deletion.
    Room(ResourceId, RoomId),
    /// A room was made that has a name: which of their rooms that is, replicas look up.
    Named,
    /// A user was deleted, or its tokens revoked.
    User(ResourceId, Uuid),
    /// More than can be told one by one.
    Many,
}

/// Changes that are still to be told.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    changes: Mutex<Vec<Change>>,
    filled: Notify,
}

/// Beyond this many changes, a single `Many` is sent.
const MOST: usize = 64;

impl Told {
    /// Queues a change to be sent soon; its maker does not wait for that.
    pub fn add(&self, change: Change) {
        let mut changes = self.0.changes.lock().unwrap_or_else(PoisonError::into_inner);
        match changes.len() {
            MOST.. => *changes = vec![Change::Many],
            _ if changes.first() == Some(&Change::Many) || changes.contains(&change) => {}
            _ => changes.push(change),
        }
        drop(changes);
        self.0.filled.notify_one();
    }

    /// Waits for changes, and returns those to send now.
    pub async fn next(&self) -> Vec<Change> {
        loop {
            let changes = mem::take(&mut *self.0.changes.lock().unwrap_or_else(PoisonError::into_inner));
            if !changes.is_empty() {
                return changes;
            }
            self.0.filled.notified().await;
        }
    }
}

/// Tells the other replicas; `node` is the name of this one.
pub async fn tell(ctx: &Context, node: &str, changes: &[Change]) -> Result<(), ServiceError> {
    let hint = write(node, changes);
    ctx.run(async |conn| store::changes::tell(conn, &hint).await).await
}

/// Hears what other replicas tell.
pub async fn listen(ctx: &Context) -> Result<Listener, ServiceError> {
    Listener::open(&ctx.db).await.map_err(|error| ServiceError::Unavailable(Some(error)))
}

/// The next hint. `None` if some were missed.
pub async fn next(listener: &mut Listener) -> Result<Option<String>, ServiceError> {
    listener.next().await.map_err(|error| ServiceError::Unavailable(Some(error)))
}

/// What a hint says, unless it is of `node` itself. One that can't be read is of a newer version, and means much.
pub fn read(node: &str, hint: &str) -> Vec<Change> {
    let mut words = hint.split(' ');
    if words.next() == Some(node) {
        return Vec::new();
    }
    words.map(|word| word.parse().unwrap_or(Change::Many)).collect()
}

fn write(node: &str, changes: &[Change]) -> String {
    let hint = changes.iter().fold(node.to_owned(), |hint, change| format!("{hint} {change}"));
    if hint.len() > store::changes::LONGEST { format!("{node} {}", Change::Many) } else { hint }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Room(resource, room) => write!(f, "room:{resource}:{room}"),
            Self::Named => f.write_str("named"),
            Self::User(resource, user) => write!(f, "user:{resource}:{user}"),
            Self::Many => f.write_str("many"),
        }
    }
}

/// The word of a hint that says nothing to this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

impl FromStr for Change {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        let mut parts = word.split(':');
        let (kind, resource, what) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
        let resource = resource.and_then(|guid| guid.parse().ok()).map(|guid: Uuid| guid.into());
        let change = match (kind, resource) {
            (Some("room"), Some(resource)) => what.parse().ok().map(|id| Self::Room(resource, RoomId::from_i64(id))),
            (Some("named"), None) => Some(Self::Named),
            (Some("user"), Some(resource)) => what.parse().ok().map(|user| Self::User(resource, user)),
            (Some("many"), None) => Some(Self::Many),
            _ => None,
        };
        change.ok_or(Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Change; 4] {
        let (resource, room) = (Uuid::from_u128(7).into(), RoomId::from_i64(994_000_000_000_000_001));
        let user = Change::User(resource, Uuid::from_u128(9));
        [Change::Room(resource, room), Change::Named, user, Change::Many]
    }

    #[test]
    fn what_is_told_is_heard_by_others_alone() {
        let hint = write("n1", &all());

        assert_eq!(read("n2", &hint), all());
        assert_eq!(read("n1", &hint), []);
    }

    #[test]
    fn what_a_newer_version_tells_means_much() {
        assert_eq!(read("n1", "n2 planet:7"), [Change::Many]);
    }

    #[tokio::test]
    async fn more_than_can_be_told_one_by_one_is_told_as_much() {
        let told = Told::default();
        for n in 0..1_000 {
            told.add(Change::Room(Uuid::nil().into(), RoomId::from_i64(n)));
        }

        assert_eq!(told.next().await, [Change::Many]);
    }

    #[test]
    fn the_most_that_is_told_one_by_one_fits_into_a_hint() {
        let [room, ..] = all();
        let hint = write("n0123456789abcdef", &[room; MOST]);
        assert_eq!(read("n2", &hint).len(), MOST);
    }
}
