//! How many are in a room: counts that are kept, never taken by counting a set.

/// Attached connections, by what they may do, and members that are present (ably-chat.md, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occupancy {
    pub connections: u32,
    pub publishers: u32,
    pub subscribers: u32,
    /// Attachments that may enter.
    pub presence_connections: u32,
    /// Attachments that see who enters.
    pub presence_subscribers: u32,
    /// May be more than the connections, and outlive them for a while.
    pub presence_members: u32,
}

impl Occupancy {
    /// True if some count went from none to some, or from some to none: what a client shows at once.
    pub fn crosses_zero(&self, then: &Self) -> bool {
        self.counts().into_iter().zip(then.counts()).any(|(before, after)| (before == 0) != (after == 0))
    }

    fn counts(&self) -> [u32; 6] {
        [
            self.connections,
            self.publishers,
            self.subscribers,
            self.presence_connections,
            self.presence_subscribers,
            self.presence_members,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_of_a_kind_cross_zero() {
        let none = Occupancy::default();
        let one = Occupancy { connections: 1, ..none };
        let two = Occupancy { connections: 2, ..none };

        assert!(none.crosses_zero(&one));
        assert!(two.crosses_zero(&none));
        assert!(!one.crosses_zero(&two));
    }
}
