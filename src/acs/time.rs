//! Instants on the wire (acs-rooms.md, section 4).

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// In: RFC 3339 with any offset. Out: UTC as `+00:00`, and as many digits as it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(as = Instant, value_type = String, format = DateTime, examples("2026-11-21T01:07:52.123+00:00"))]
pub struct WireTime(pub DateTime<Utc>);

impl<'de> Deserialize<'de> for WireTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text)
            .ok()
            // Through the count of microseconds: a leap second becomes the next second, as in the database.
            .and_then(|at| DateTime::from_timestamp_micros(at.timestamp_micros()))
            .filter(|at| (0..=9999).contains(&at.year())) // an offset may lead out of what can be written
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("not an RFC 3339 date-time such as 2026-11-21T01:07:52Z"))
    }
}

impl Serialize for WireTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&render(self.0))
    }
}

/// By hand: a page of rooms has ninety of them, and chrono's own forms took a quarter of its time.
fn render(at: DateTime<Utc>) -> String {
    let mut text = String::with_capacity("2026-11-21T01:07:52.123456+00:00".len());
    let year = at.year().unsigned_abs();
    put(&mut text, year / 100, "");
    put(&mut text, year % 100, "-");
    put(&mut text, at.month(), "-");
    put(&mut text, at.day(), "T");
    put(&mut text, at.hour(), ":");
    put(&mut text, at.minute(), ":");
    put(&mut text, at.second(), "");
    let micros = at.nanosecond() % 1_000_000_000 / 1_000;
    if micros > 0 {
        text.push('.');
        put(&mut text, micros / 10_000, "");
        put(&mut text, micros / 100 % 100, "");
        put(&mut text, micros % 100, "");
        text.truncate(text.trim_end_matches('0').len());
    }
    text.push_str("+00:00");
    text
}

/// Two digits, and what stands behind them.
fn put(text: &mut String, number: u32, end: &str) {
    for digit in [number / 10, number % 10] {
        text.push(char::from_digit(digit, 10).unwrap_or('0')); // they are below ten
    }
    text.push_str(end);
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::js("2030-01-01T00:00:00.123Z", "2030-01-01T00:00:00.123+00:00")]
    #[case::python("2030-01-01T00:00:00.120450Z", "2030-01-01T00:00:00.12045+00:00")]
    #[case::java_is_cut("2030-01-01T00:00:00.123456789Z", "2030-01-01T00:00:00.123456+00:00")]
    #[case::whole("2024-03-22T18:00:54Z", "2024-03-22T18:00:54+00:00")]
    #[case::no_dot_for_nanoseconds("2024-03-22T18:00:54.000000999Z", "2024-03-22T18:00:54+00:00")]
    #[case::an_offset("2024-03-22T18:00:54+05:30", "2024-03-22T12:30:54+00:00")]
    #[case::a_leap_second("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.5+00:00")]
    #[case::whole_tens("2024-03-22T18:00:50.500Z", "2024-03-22T18:00:50.5+00:00")]
    fn an_instant_goes_out_as_the_service_writes_it(#[case] sent: &str, #[case] wanted: &str) {
        let read: WireTime = serde_json::from_value(sent.into()).expect("a date");
        assert_eq!(serde_json::to_value(read).expect("a string"), wanted);
    }

    #[rstest]
    #[case("2030-01-01")]
    #[case("2030-01-01T00:00:00")]
    #[case("2030-13-01T00:00:00Z")]
    #[case::before_all_years("0000-01-01T00:00:00+23:59")]
    #[case::after_all_years("9999-12-31T23:59:59-00:01")]
    #[case("tomorrow")]
    #[case("")]
    fn anything_else_is_refused(#[case] sent: &str) {
        assert!(serde_json::from_value::<WireTime>(sent.into()).is_err());
    }
}
