//! What names a managed room: digits that grow with time (design, section 3).

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// A managed room's id. The ones made here have 18 digits; 16 to 18 are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(i64);

/// Why a text is no room id (acs-rooms.md, section 7; the texts are the wire's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomIdError {
    #[error("Invalid room ID length.")]
    Length,
    #[error("Invalid room ID.")]
    NotDigits,
}

impl RoomId {
    /// The id as it is stored; ids in a row are in the order of their making.
    pub fn as_i64(self) -> i64 {
        self.0
    }

    /// An id that was stored.
    pub const fn from_i64(id: i64) -> Self {
        Self(id)
    }
}

impl FromStr for RoomId {
    type Err = RoomIdError;

    fn from_str(text: &str) -> Result<Self, RoomIdError> {
        if !(16..=18).contains(&text.chars().count()) {
            return Err(RoomIdError::Length);
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RoomIdError::NotDigits);
        }
        text.parse().map(Self).map_err(|_| RoomIdError::NotDigits)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Makes ids for one process: `994`, milliseconds since 2025, and a counter that starts at
/// `offset`. Ids never go backwards, also when the clock does; a millisecond with more than
/// its share borrows from the next. Another process may make the same id: the caller stores
/// it under a unique key and takes the next one on a clash.
#[derive(Debug)]
pub struct RoomIds {
    offset: i64,
    last: AtomicI64,
}

const PREFIX: i64 = 994_000_000_000_000_000;
const PER_MILLISECOND: i64 = 1_000;
/// 12 digits of milliseconds: enough until 2056.
const LAST_MILLISECOND: i64 = 999_999_999_999;
const EPOCH_MILLIS: i64 = 1_735_689_600_000; // 2025-01-01T00:00:00Z

impl RoomIds {
    /// A source whose counter starts at `offset`, taken modulo a thousand.
    pub fn starting_at(offset: u16) -> Self {
        Self { offset: i64::from(offset) % PER_MILLISECOND, last: AtomicI64::new(0) }
    }

    /// Counts on by so many.
    pub fn skip(&self, ids: u16) {
        self.last.fetch_add(ids.into(), Ordering::Relaxed);
    }

    /// The next id at `now`.
    pub fn next(&self, now: DateTime<Utc>) -> RoomId {
        let millis = (now.timestamp_millis() - EPOCH_MILLIS).clamp(0, LAST_MILLISECOND);
        let earliest = millis * PER_MILLISECOND + self.offset;
        let next = |last: i64| earliest.max(last + 1);
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)))
            .unwrap_or_else(|last| last); // the closure always answers `Some`
        RoomId(PREFIX + next(last))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(EPOCH_MILLIS + millis).expect("in range")
    }

    #[test]
    fn an_id_is_the_prefix_the_millisecond_and_the_counter() {
        let ids = RoomIds::starting_at(7);
        assert_eq!(ids.next(at(59_659_672_123)).to_string(), "994059659672123007");
        assert_eq!(ids.next(at(59_659_672_123)).to_string(), "994059659672123008");
        assert_eq!(ids.next(at(59_659_672_124)).to_string(), "994059659672124007");
    }

    #[test]
    fn a_full_millisecond_borrows_the_next_and_nothing_goes_backwards() {
        let ids = RoomIds::starting_at(999);
        assert_eq!(ids.next(at(5)).to_string(), "994000000000005999");
        assert_eq!(ids.next(at(5)).to_string(), "994000000000006000");
        assert_eq!(ids.next(at(1)).to_string(), "994000000000006001");
    }

    proptest! {
        #[test]
        fn ids_rise_and_are_read_back_whatever_the_clock_does(
            millis in proptest::collection::vec(-1_000i64..2_000_000_000_000, 1..50),
            offset: u16,
        ) {
            let ids = RoomIds::starting_at(offset);
            let mut last = None;
            for m in millis {
                let id = ids.next(at(m));
                prop_assert!(Some(id) > last);
                prop_assert_eq!(id.to_string().parse(), Ok(id));
                prop_assert_eq!(id.to_string().len(), 18);
                last = Some(id);
            }
        }

        #[test]
        fn any_text_is_an_id_or_is_refused(text in ".{0,24}") {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            let fits = (16..=18).contains(&text.chars().count());
            prop_assert_eq!(text.parse::<RoomId>().is_ok(), digits && fits);
        }
    }
}
