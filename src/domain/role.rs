//! What a participant may be in a room.

use std::fmt;
use std::str::FromStr;

/// A participant's role (acs-rooms.md, section 5). Who names none is an attendee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// Full control.
    Presenter,
    /// Speaks and shows, without control over others.
    #[default]
    Attendee,
    /// Receives only.
    Consumer,
    /// Between presenter and attendee.
    Collaborator,
}

/// What a role lets its holder do in a live room, besides hearing all that is said and seeing who and
/// how many are there, which everyone on the roster does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct May {
    /// Publish: type, react, speak.
    pub publish: bool,
    /// Be present, seen by the others.
    pub be_present: bool,
    /// Make others leave.
    pub moderate: bool,
}

/// The text names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a role")]
pub struct RoleError;

impl Role {
    /// Every role, in the order in which the wire lists them.
    pub const ALL: [Self; 4] = [Self::Presenter, Self::Attendee, Self::Consumer, Self::Collaborator];

    /// What its holder may do in a live room: the one table.
    pub fn may(self) -> May {
        let (publish, be_present, moderate) = match self {
            Self::Presenter | Self::Collaborator => (true, true, true),
            Self::Attendee => (true, true, false),
            Self::Consumer => (false, false, false),
        };
        May { publish, be_present, moderate }
    }

    /// The role's name, on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Presenter => "Presenter",
            Self::Attendee => "Attendee",
            Self::Consumer => "Consumer",
            Self::Collaborator => "Collaborator",
        }
    }
}

impl FromStr for Role {
    type Err = RoleError;

    /// Letter case counts.
    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(RoleError)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
