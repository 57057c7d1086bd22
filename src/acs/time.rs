//! Instants on the wire (acs-rooms.md, section 4).

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, Timelike as _, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// In: RFC 3339 with any offset; without one it is UTC, and seconds, or the time of day, may be left out. Out: UTC as `+00:00`, and as many digits as it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(as = Instant, value_type = String, format = DateTime, examples("2026-11-21T01:07:52.123+00:00"))]
pub struct WireTime(pub DateTime<Utc>);

impl<'de> Deserialize<'de> for WireTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        read(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not a date-time such as 2026-11-21T01:07:52Z"))
    }
}

/// Reads an instant. Beyond RFC 3339, as the vendor's service does: without an offset it is UTC, seconds may be left out,
/// and a date alone is its midnight. A year of more than four digits becomes the first or last instant that can be
/// written, so that the rules for windows refuse it as too early or too far.
fn read(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        // Through the count of microseconds: a leap second becomes the next second, as in the database.
        return DateTime::from_timestamp_micros(at.timestamp_micros()).map(writable);
    }
    if let Some(unsigned) = text.strip_prefix(['+', '-'])
        && let Some((year, rest)) = unsigned.split_once('-')
        && (5..=9).contains(&year.len())
        && year.bytes().all(|digit| digit.is_ascii_digit())
        && read(&format!("2000-{rest}")).is_some()
    {
        return Some(if text.starts_with('+') { last() } else { first() });
    }
    let (date, rest) = text.split_at_checked("2026-11-21".len())?;
    NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    let rest = if rest.is_empty() { "T00:00" } else { rest };
    let (separator, rest) = rest.split_at_checked(1)?;
    let (time, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(place) => rest.split_at(place),
        None => (rest, "Z"),
    };
    let seconds = if time.len() == "01:07".len() { ":00" } else { "" };
    // As `date +%z` writes it.
    let (hours, minutes) = offset.split_at_checked("+00".len()).unwrap_or((offset, ""));
    let colon = if minutes.len() == 2 { ":" } else { "" };
    let whole = format!("{date}{separator}{time}{seconds}{hours}{colon}{minutes}");
    let at = DateTime::parse_from_rfc3339(&whole).ok()?;
    DateTime::from_timestamp_micros(at.timestamp_micros()).map(writable)
}

/// An offset may lead out of the years that can be written.
fn writable(at: DateTime<Utc>) -> DateTime<Utc> {
    at.clamp(first(), last())
}

fn first() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(0, 1, 1).map(|day| day.and_time(NaiveTime::MIN).and_utc()).unwrap_or_default()
}

fn last() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(9999, 12, 31).map(|day| day.and_time(NaiveTime::MIN).and_utc()).unwrap_or_default()
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
    #[case::python_without_an_offset("2023-12-13T12:49:39.549335", "2023-12-13T12:49:39.549335+00:00")]
    #[case::az_without_seconds("2026-12-01T10:21", "2026-12-01T10:21:00+00:00")]
    #[case::without_seconds_with_an_offset("2026-12-01T10:21+02:00", "2026-12-01T08:21:00+00:00")]
    #[case::a_date_alone("2026-12-02", "2026-12-02T00:00:00+00:00")]
    #[case::an_offset_of_the_shell("2026-12-01T10:21:05+0530", "2026-12-01T04:51:05+00:00")]
    #[case::the_last_date_of_javascript("+275760-09-13T00:00:00Z", "9999-12-31T00:00:00+00:00")]
    #[case::a_year_before_all("-271821-04-20T00:00:00.000Z", "0000-01-01T00:00:00+00:00")]
    #[case::before_all_years("0000-01-01T00:00:00+23:59", "0000-01-01T00:00:00+00:00")]
    #[case::after_all_years("9999-12-31T23:59:59-00:01", "9999-12-31T00:00:00+00:00")]
    #[case::whole_tens("2024-03-22T18:00:50.500Z", "2024-03-22T18:00:50.5+00:00")]
    fn an_instant_goes_out_as_the_service_writes_it(#[case] sent: &str, #[case] wanted: &str) {
        let read: WireTime = serde_json::from_value(sent.into()).expect("a date");
        assert_eq!(serde_json::to_value(read).expect("a string"), wanted);
    }

    #[rstest]
    #[case("2030-13-01T00:00:00Z")]
    #[case::hour_24("2030-01-01T24:00")]
    #[case::a_week_date("2030-W01-1")]
    #[case::a_day_of_the_year("2030-001")]
    #[case::no_time_behind_the_t("2030-01-01T")]
    #[case::an_hour_alone("2030-01-01T10")]
    #[case::an_offset_alone("2030-01-01+02:00")]
    #[case::a_long_year_of_no_date("+275760-13-41")]
    #[case::not_ascii("2030-01-0é")]
    #[case("tomorrow")]
    #[case("")]
    fn anything_else_is_refused(#[case] sent: &str) {
        assert!(serde_json::from_value::<WireTime>(sent.into()).is_err());
    }
}
