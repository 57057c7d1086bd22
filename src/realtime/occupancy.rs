//! When a room's occupancy is told, and to whom (ably-chat.md, section 5: occupancy rate).

use std::mem;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::ConnectionId;
use crate::domain::occupancy::Occupancy;

/// What changed is told no sooner: an update next to an ACK confuses the SDK (section 3.8).
const SOON: Duration = Duration::from_millis(50);

/// The updates of one room: what was told last, and what is to come.
#[derive(Debug, Default)]
pub struct Updates {
    last: Option<(Occupancy, Instant)>,
    due: Option<Instant>,
    /// Who came in since, and was told nothing yet.
    fresh: Vec<ConnectionId>,
    fresh_due: Option<Instant>,
    /// Some of those know other counts than the rest.
    is_split: bool,
}

/// Whom to tell now.
#[derive(Debug, PartialEq, Eq)]
pub enum To {
    Everyone,
    Only(Vec<ConnectionId>),
}

impl Updates {
    /// The counts are other ones: everyone is told after `interval` at the soonest, or soon where a
    /// client shows another picture.
    pub fn changed(&mut self, counts: &Occupancy, now: Instant, interval: Duration) {
        let soon = now + SOON;
        let at = match &self.last {
            Some((told, at)) if !told.crosses_zero(counts) => soon.max(*at + interval),
            _ => soon,
        };
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// One who wants updates came in, and gets its first one soon.
    pub fn joined(&mut self, connection: ConnectionId, now: Instant) {
        if !self.fresh.contains(&connection) {
            self.fresh.push(connection);
        }
        self.fresh_due.get_or_insert(now + SOON);
    }

    /// When to ask [`Updates::take`].
    pub fn due(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.fresh_due).min()
    }

    /// Whom to tell of `counts`, if that is due. What everyone knows is not told again.
    pub fn take(&mut self, counts: Occupancy, now: Instant) -> Option<To> {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            if self.is_split || self.last.is_none_or(|(told, _)| told != counts) {
                self.last = Some((counts, now));
                self.is_split = false;
                self.fresh = Vec::new();
                self.fresh_due = None;
                return Some(To::Everyone);
            }
        }
        if self.fresh_due.is_some_and(|due| due <= now) {
            self.fresh_due = None;
            self.is_split |= self.last.is_none_or(|(told, _)| told != counts);
            return Some(To::Only(mem::take(&mut self.fresh)));
        }
        None
    }

    /// Nobody listens any more.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn members(presence_members: u32) -> Occupancy {
        Occupancy { connections: 9, presence_members, ..Occupancy::default() }
    }

    /// Everyone was told of `counts` at the returned time.
    fn told(counts: Occupancy) -> (Updates, Instant) {
        let mut updates = Updates::default();
        let start = Instant::now();
        updates.changed(&counts, start, SECOND);
        assert_eq!(updates.take(counts, start + SOON), Some(To::Everyone));
        (updates, start + SOON)
    }

    #[test]
    fn changes_in_a_row_are_told_once_a_second() {
        let (mut updates, then) = told(members(1));
        for n in 2..100 {
            updates.changed(&members(n), then + Duration::from_millis(u64::from(n)), SECOND);
        }

        assert_eq!(updates.due(), Some(then + SECOND));
        assert_eq!(updates.take(members(99), then + SECOND), Some(To::Everyone));
        assert_eq!(updates.due(), None);
    }

    #[test]
    fn the_last_member_that_leaves_is_told_soon() {
        let (mut updates, then) = told(members(1));
        updates.changed(&members(0), then, SECOND);

        assert_eq!(updates.due(), Some(then + SOON));
    }

    #[test]
    fn what_is_as_it_was_is_not_told() {
        let (mut updates, then) = told(members(1));
        updates.changed(&members(2), then, SECOND);

        assert_eq!(updates.take(members(1), then + SECOND), None);
    }

    #[test]
    fn who_came_in_between_is_told_also_that_all_is_as_it_was() {
        let (mut updates, then) = told(members(1));
        updates.joined(7.into(), then);
        updates.changed(&members(2), then, SECOND);
        assert_eq!(updates.take(members(2), then + SOON), Some(To::Only(vec![7.into()])));
        updates.changed(&members(1), then + SOON, SECOND);

        assert_eq!(updates.take(members(1), then + SECOND), Some(To::Everyone));
    }

    #[test]
    fn who_comes_in_is_told_alone_when_nothing_changed() {
        let (mut updates, then) = told(members(1));
        updates.joined(7.into(), then);

        assert_eq!(updates.take(members(1), then + SOON), Some(To::Only(vec![7.into()])));
        assert_eq!(updates.due(), None);
    }
}
