//! When a user's token was issued, and whether it still stands.

use chrono::{DateTime, Utc};

/// What a token says of its issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Issue {
    pub at: DateTime<Utc>,
    /// How often its user's tokens had been revoked; earlier releases issued tokens that do not say.
    pub revocations: Option<i64>,
}

/// Which tokens of a user stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How often tokens were revoked until now.
    pub revocations: i64,
    /// Since when tokens stand that do not say how often that was before them.
    pub valid_from: DateTime<Utc>,
}

impl Standing {
    /// Whether a token was issued after the last revocation. The count decides, as the clocks of replicas differ.
    pub fn allows(&self, issue: Issue) -> bool {
        match issue.revocations {
            Some(revocations) => revocations >= self.revocations,
            None => issue.at >= self.valid_from,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_count_decides_and_the_time_only_without_one() {
        let standing = Standing { revocations: 2, valid_from: at(100) };
        assert!(!standing.allows(Issue { at: at(105), revocations: Some(1) }), "issued before, by a clock ahead");
        assert!(standing.allows(Issue { at: at(95), revocations: Some(2) }), "issued after, by a clock behind");
        assert!(standing.allows(Issue { at: at(100), revocations: None }));
        assert!(!standing.allows(Issue { at: at(99), revocations: None }));
    }
}
