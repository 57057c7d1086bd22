//! A managed room, without its roster.

use chrono::{DateTime, Utc};

use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::validity::Validity;

/// A room as a backend sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub id: RoomId,
    pub name: Option<RoomName>,
    pub created_at: DateTime<Utc>,
    pub validity: Validity,
    pub pstn_dial_out_enabled: bool,
}

/// What an update changes; `None` keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomChange {
    pub validity: Option<Validity>,
    pub pstn_dial_out_enabled: Option<bool>,
}

impl RoomChange {
    /// True if the update would leave the room as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
