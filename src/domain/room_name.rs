//! What a backend may call a managed room, besides its id.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::domain::room_id::RoomId;

/// A managed room's name, unique in its resource while the room is there. Every spelling is a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoomName(Arc<str>);

/// Why a text can't name a managed room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomNameError {
    #[error("A room's name has 1 to {} bytes.", RoomName::LONGEST)]
    Length,
    #[error("A room's name is UTF-8, percent-encoded.")]
    Utf8,
    #[error("A room's name has no control characters.")]
    Control,
    #[error("A room's name does not begin with [, :, a comma or a blank.")]
    Beginning,
    #[error("A room's name does not end with ::$chat: that makes a channel's name of it.")]
    Channel,
    #[error("What has the form of a room's id is no name: 16 to 18 digits.")]
    Id,
    #[error("The words participants and occupancy are no names, nor are . and ..: in a path they mean something else.")]
    FixedWord,
}

/// What stands behind a room's id in paths, and so wins over a name; and what paths are shortened by.
const FIXED_WORDS: [&str; 4] = ["participants", "occupancy", ".", ".."];

impl RoomName {
    /// In bytes. An index keeps it, and a URL carries it.
    pub const LONGEST: usize = 1024;

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that was stored.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }
}

impl FromStr for RoomName {
    type Err = RoomNameError;

    fn from_str(text: &str) -> Result<Self, RoomNameError> {
        if text.is_empty() || text.len() > Self::LONGEST {
            Err(RoomNameError::Length)
        } else if text.contains(char::is_control) {
            Err(RoomNameError::Control)
        } else if text.starts_with(['[', ':', ',']) || text.starts_with(char::is_whitespace) {
            Err(RoomNameError::Beginning)
        } else if text.ends_with("::$chat") {
            Err(RoomNameError::Channel)
        } else if text.parse::<RoomId>().is_ok() {
            Err(RoomNameError::Id)
        } else if FIXED_WORDS.contains(&text) {
            Err(RoomNameError::FixedWord)
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("lobby")]
    #[case::with_parts("shop:1/kitchen 2")]
    #[case::another_script("日本語")]
    #[case::too_few_digits("123456789012345")]
    #[case::the_longest(&"x".repeat(RoomName::LONGEST))]
    fn a_name_keeps_its_spelling(#[case] text: &str) {
        assert_eq!(text.parse::<RoomName>().map(|name| name.to_string()), Ok(text.to_owned()));
    }

    #[rstest]
    #[case("", RoomNameError::Length)]
    #[case(&"x".repeat(RoomName::LONGEST + 1), RoomNameError::Length)]
    #[case("two\nlines", RoomNameError::Control)]
    #[case("a nul \0", RoomNameError::Control)]
    #[case("[meta]", RoomNameError::Beginning)]
    #[case(" lobby", RoomNameError::Beginning)]
    #[case("lobby::$chat", RoomNameError::Channel)]
    #[case("994059547015701969", RoomNameError::Id)]
    #[case("0000000000000000", RoomNameError::Id)]
    #[case("participants", RoomNameError::FixedWord)]
    #[case("occupancy", RoomNameError::FixedWord)]
    #[case("..", RoomNameError::FixedWord)]
    fn what_means_something_else_is_no_name(#[case] text: &str, #[case] why: RoomNameError) {
        assert_eq!(text.parse::<RoomName>(), Err(why));
    }

    proptest! {
        #[test]
        fn a_name_is_never_an_id(text in "\\PC{1,40}|[0-9]{14,20}") {
            if let Ok(name) = text.parse::<RoomName>() {
                prop_assert!(name.as_str().parse::<RoomId>().is_err());
            }
        }
    }
}
