//! The order of what happens in a room (ably-chat.md, section 3.6).

use std::fmt;

use chrono::{DateTime, Utc};

/// A point in a room's order. Its text sorts as it does; it is only understood by the node that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Serial {
    millis: u64,
    counter: u16,
}

/// Serials of one start of one node: another start has another memory.
#[derive(Debug, Clone)]
pub struct Series(String);

const COUNTED: u16 = 999;

impl Series {
    /// A series with a name of letters and digits.
    pub fn new(name: String) -> Self {
        Self(name)
    }

    /// The name that each of its serials carries.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The text of a serial, for clients.
    pub fn text(&self, serial: Serial) -> String {
        format!("{serial}@{}", self.0)
    }

    /// The serial that a client repeats; `None` for one of another series, or none at all.
    pub fn read(&self, text: &str) -> Option<Serial> {
        let (serial, series) = text.split_once('@')?;
        let (millis, counter) = serial.split_once('-')?;
        let is_ours = series == self.0 && millis.len() == 14 && counter.len() == 3;
        is_ours.then(|| Some(Serial { millis: millis.parse().ok()?, counter: counter.parse().ok()? }))?
    }
}

impl Serial {
    /// The first one of a room that begins at `millis` since 1970.
    pub fn first(millis: u64) -> Self {
        Self { millis, counter: 0 }
    }

    /// Its time, in milliseconds since 1970.
    pub fn millis(self) -> u64 {
        self.millis
    }

    /// Its time as clients read it.
    pub fn instant(self) -> DateTime<Utc> {
        i64::try_from(self.millis).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default()
    }

    /// The same point, or one at `millis` if that is later: for what has a time but no place of its own in the order.
    pub fn not_before(self, millis: u64) -> Self {
        if millis > self.millis { Self { millis, counter: 0 } } else { self }
    }

    /// The next one at `millis`: later than this one, whatever the clock says.
    pub fn next(self, millis: u64) -> Self {
        if millis > self.millis {
            Self { millis, counter: 0 }
        } else if self.counter < COUNTED {
            Self { counter: self.counter + 1, ..self }
        } else {
            Self { millis: self.millis + 1, counter: 0 }
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014}-{:03}", self.millis, self.counter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_sort_as_serials_follow(times in prop::collection::vec(0_u64..2_000_000_000_000, 1..1500)) {
            let series = Series::new("n1".to_owned());
            let mut last = Serial::first(1_700_000_000_000);
            for millis in times {
                let next = last.next(millis);
                prop_assert!(next > last);
                prop_assert!(series.text(next) > series.text(last));
                prop_assert_eq!(series.read(&series.text(next)), Some(next));
                last = next;
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9@a-z-]{0,40}|\\PC{0,40}") {
            let _ = Series::new("n1".to_owned()).read(&text);
        }
    }

    #[test]
    fn a_serial_of_another_start_is_not_understood() {
        let text = Series::new("n1".to_owned()).text(Serial::first(1_700_000_000_000));
        assert_eq!(Series::new("n2".to_owned()).read(&text), None);
    }
}
