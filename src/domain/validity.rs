//! When a room can be joined.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

/// A span from its start (included) to its end (excluded), in whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

/// Digits of a second that are kept.
const MICROS: u16 = 6;

/// Why a span was refused. A request can be at fault twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidityFault {
    /// It starts more than [`Validity::MAX_LENGTH`] from now.
    StartsTooLate,
    /// It is over already.
    EndsInThePast,
    /// It ends before it starts, or is longer than [`Validity::MAX_LENGTH`].
    WrongLength,
}

impl Validity {
    /// The longest span, and the furthest start from now.
    pub const MAX_LENGTH: TimeDelta = TimeDelta::days(180);

    /// Checks what a client asked for at `now`. What it left out starts now and lasts as long as
    /// it can from now; such an end is never too far, however early the start (acs-rooms.md, 4).
    pub fn new(
        from: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Self, Vec<ValidityFault>> {
        let start = from.unwrap_or(now).trunc_subsecs(MICROS);
        let end = until.unwrap_or(now + Self::MAX_LENGTH).trunc_subsecs(MICROS);
        let mut faults = Vec::new();
        if start > now + Self::MAX_LENGTH {
            faults.push(ValidityFault::StartsTooLate);
        }
        if end <= now {
            faults.push(ValidityFault::EndsInThePast);
        } else if start >= end || (until.is_some() && end - start > Self::MAX_LENGTH) {
            faults.push(ValidityFault::WrongLength);
        }
        if faults.is_empty() { Ok(Self { from: start, until: end }) } else { Err(faults) }
    }

    /// A span that was stored.
    pub fn from_stored(from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        Self { from, until }
    }

    /// True from its start on, and not at its end any more.
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.until
    }

    /// The first instant inside.
    pub fn from(&self) -> DateTime<Utc> {
        self.from
    }

    /// The first instant after.
    pub fn until(&self) -> DateTime<Utc> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::ValidityFault::{EndsInThePast, StartsTooLate, WrongLength};
    use super::*;

    fn day(n: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).expect("in range") + TimeDelta::days(n)
    }

    #[rstest]
    #[case::nothing_given(None, None, Ok((0, 180)))]
    #[case::a_start_only(Some(10), None, Ok((10, 180)))]
    #[case::a_past_start_only(Some(-10), None, Ok((-10, 180)))]
    #[case::an_end_only(None, Some(5), Ok((0, 5)))]
    #[case::the_longest(Some(1), Some(181), Ok((1, 181)))]
    #[case::the_latest_start(Some(180), Some(360), Ok((180, 360)))]
    #[case::an_end_too_far(None, Some(181), Err(vec![WrongLength]))]
    #[case::too_long(Some(-1), Some(180), Err(vec![WrongLength]))]
    #[case::turned_round(Some(10), Some(5), Err(vec![WrongLength]))]
    #[case::empty(Some(5), Some(5), Err(vec![WrongLength]))]
    #[case::over(Some(-5), Some(-1), Err(vec![EndsInThePast]))]
    #[case::ends_now(None, Some(0), Err(vec![EndsInThePast]))]
    #[case::over_wins_over_order(Some(5), Some(-1), Err(vec![EndsInThePast]))]
    #[case::starts_too_late(Some(181), Some(200), Err(vec![StartsTooLate]))]
    #[case::starts_too_late_and_long(Some(200), Some(400), Err(vec![StartsTooLate, WrongLength]))]
    #[case::starts_too_late_alone(Some(200), None, Err(vec![StartsTooLate, WrongLength]))]
    #[case::starts_too_late_and_over(Some(200), Some(-1), Err(vec![StartsTooLate, EndsInThePast]))]
    fn a_window_follows_the_rules(
        #[case] from: Option<i64>,
        #[case] until: Option<i64>,
        #[case] wanted: Result<(i64, i64), Vec<ValidityFault>>,
    ) {
        let got = Validity::new(from.map(day), until.map(day), day(0));
        assert_eq!(got.map(|v| (v.from(), v.until())), wanted.map(|(f, u)| (day(f), day(u))));
    }

    proptest! {
        #[test]
        fn what_can_be_built_is_valid(from in -400i64..400, until in -400i64..400) {
            if let Ok(v) = Validity::new(Some(day(from)), Some(day(until)), day(0)) {
                prop_assert!(v.from() < v.until());
                prop_assert!(v.until() > day(0));
                prop_assert!(v.until() - v.from() <= Validity::MAX_LENGTH);
            }
        }
    }
}
