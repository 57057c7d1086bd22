//! What a backend fixes for everyone who enters its room.

use std::str::FromStr;

/// The options of a managed room, in the groups that clients of live rooms know. `None` leaves it to each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomOptions {
    /// How often at most a client says that somebody types, in milliseconds: the clients' own matter, kept for them.
    pub typing_throttle_ms: Option<u32>,
    /// False: nobody is told who comes and goes.
    pub presence_events: Option<bool>,
    /// False: nobody is told how many are there.
    pub occupancy_events: Option<bool>,
    /// False: nobody is told of each reaction to a message.
    pub raw_message_reactions: Option<bool>,
    /// What a reaction to a message is, where a client does not say.
    pub default_reaction: Option<ReactionType>,
}

/// How reactions to a message are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReactionType {
    /// One a client.
    Unique,
    /// One of each name a client.
    Distinct,
    /// Any number.
    Multiple,
}

/// The text names no way to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a type of reaction")]
pub struct ReactionTypeError;

impl ReactionType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::Unique, Self::Distinct, Self::Multiple];

    /// The type's name, on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unique => "unique",
            Self::Distinct => "distinct",
            Self::Multiple => "multiple",
        }
    }
}

impl FromStr for ReactionType {
    type Err = ReactionTypeError;

    fn from_str(text: &str) -> Result<Self, ReactionTypeError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(ReactionTypeError)
    }
}
