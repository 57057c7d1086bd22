//! Users of a resource and what their tokens are for.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;

/// What a user token is good for (acs-rooms.md, section 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
    Chat,
    Voip,
    ChatJoin,
    ChatJoinLimited,
    VoipJoin,
}

/// The text names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token scope")]
pub struct TokenScopeError;

impl TokenScope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Chat, Self::Voip, Self::ChatJoin, Self::ChatJoinLimited, Self::VoipJoin];

    /// The scope's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Voip => "voip",
            Self::ChatJoin => "chat.join",
            Self::ChatJoinLimited => "chat.join.limited",
            Self::VoipJoin => "voip.join",
        }
    }
}

impl FromStr for TokenScope {
    type Err = TokenScopeError;

    fn from_str(text: &str) -> Result<Self, TokenScopeError> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(TokenScopeError)
    }
}

impl fmt::Display for TokenScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long a user token lives: whole minutes, from an hour to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLifetime(u16);

/// A number of minutes outside [`TokenLifetime::MIN_MINUTES`]`..=`[`TokenLifetime::MAX_MINUTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} minutes is no lifetime of a token")]
pub struct TokenLifetimeError(pub i64);

impl TokenLifetime {
    pub const MIN_MINUTES: u16 = 60;
    pub const MAX_MINUTES: u16 = 1440;

    /// A lifetime of so many minutes.
    pub fn from_minutes(minutes: i64) -> Result<Self, TokenLifetimeError> {
        u16::try_from(minutes)
            .ok()
            .filter(|m| (Self::MIN_MINUTES..=Self::MAX_MINUTES).contains(m))
            .map(Self)
            .ok_or(TokenLifetimeError(minutes))
    }

    /// The lifetime as a span of time.
    pub fn as_delta(self) -> TimeDelta {
        TimeDelta::minutes(i64::from(self.0))
    }
}

impl Default for TokenLifetime {
    fn default() -> Self {
        Self(Self::MAX_MINUTES)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(59, false)]
    #[case(60, true)]
    #[case(1440, true)]
    #[case(1441, false)]
    #[case(-60, false)]
    #[case(i64::MAX, false)]
    fn a_token_lives_an_hour_to_a_day(#[case] minutes: i64, #[case] fine: bool) {
        assert_eq!(TokenLifetime::from_minutes(minutes).is_ok(), fine);
    }
}
