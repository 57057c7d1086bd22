//! Instants are whole microseconds, in UTC: what the database keeps and what clients get back.

use chrono::{DateTime, Utc};

/// Cuts (never rounds) an instant to whole microseconds. A leap second becomes the next second.
pub fn to_micros(at: DateTime<Utc>) -> DateTime<Utc> {
    // An instant that chrono can hold has its microseconds within chrono's range, so `at` is never the answer.
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_cut_not_rounded() {
        let at = "2026-11-21T01:02:03.123456999Z".parse().expect("a date");
        assert_eq!(to_micros(at).timestamp_subsec_nanos(), 123_456_000);
    }
}
