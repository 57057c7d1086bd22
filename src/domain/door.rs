//! Who may be in a managed room now: its roster and its window decide.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::room_options::RoomOptions;
use crate::domain::validity::Validity;

/// A room's door, with the roles of those who were asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    pub room: RoomId,
    pub name: Option<RoomName>,
    pub options: RoomOptions,
    pub validity: Validity,
    /// One up with each change of the roster.
    pub version: i64,
    /// By raw id; who is not here is not on the roster.
    pub roles: HashMap<String, Role>,
}

/// Why somebody may not be in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no such room")]
    NoSuchRoom,
    #[error("this client is not on the room's roster")]
    NotOnRoster,
    #[error("the room is not open yet: it opens at {}", .from.format("%FT%TZ"))]
    NotYetOpen { from: DateTime<Utc> },
    #[error("the room is over")]
    Over,
    #[error("a backend makes the rooms here, and has made none of this name")]
    NoNamedRooms,
}

impl Door {
    /// The role with which somebody may be inside at `now`. A stranger is not told of the window.
    pub fn admit(&self, raw_id: &str, now: DateTime<Utc>) -> Result<Role, Refused> {
        let role = *self.roles.get(raw_id).ok_or(Refused::NotOnRoster)?;
        let (from, until) = (self.validity.from(), self.validity.until());
        if now < from {
            Err(Refused::NotYetOpen { from })
        } else if now >= until {
            Err(Refused::Over)
        } else {
            Ok(role)
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use rstest::rstest;

    use super::*;

    const HOUR: TimeDelta = TimeDelta::hours(1);

    #[rstest]
    #[case::just_opened("ann", 0, Ok(Role::Consumer))]
    #[case::before("ann", -1, Err(Refused::NotYetOpen { from: DateTime::UNIX_EPOCH }))]
    #[case::at_its_end("ann", 3_600, Err(Refused::Over))]
    #[case::a_stranger("bob", 0, Err(Refused::NotOnRoster))]
    #[case::a_stranger_before("bob", -1, Err(Refused::NotOnRoster))]
    fn the_roster_and_the_window_decide(#[case] who: &str, #[case] second: i64, #[case] wanted: Result<Role, Refused>) {
        let start = DateTime::UNIX_EPOCH;
        let roles = HashMap::from([("ann".to_owned(), Role::Consumer)]);
        let validity = Validity::from_stored(start, start + HOUR);
        let (room, options) = (RoomId::from_i64(1), RoomOptions::default());
        let door = Door { room, name: None, options, validity, version: 0, roles };

        assert_eq!(door.admit(who, start + TimeDelta::seconds(second)), wanted);
    }
}
