//! The tenant that rooms, identities and keys belong to.

use std::fmt;

use uuid::Uuid;

/// A resource's guid: the first one in the raw ids of its users (`8:acs:<guid>_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(Uuid);

impl ResourceId {
    /// The guid as it is stored.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for ResourceId {
    fn from(guid: Uuid) -> Self {
        Self(guid)
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
