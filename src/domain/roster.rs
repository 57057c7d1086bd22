//! Who may enter a room.

use crate::domain::raw_id::RawId;
use crate::domain::role::Role;

/// One entry of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    pub raw_id: RawId,
    pub role: Role,
}

/// What a patch does to a roster, all of it or nothing. No id occurs twice; the order is the body's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RosterChange {
    pub upserts: Vec<Participant>,
    pub removals: Vec<RawId>,
}

impl RosterChange {
    /// True if the patch names nobody.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removals.is_empty()
    }
}
