//! When a user's token was issued, and whether it is still valid.

use chrono::{DateTime, Utc};

/// The issue of a token, as its claims describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Issue {
    pub at: DateTime<Utc>,
    /// How often its user's tokens had been revoked by then; `None` for tokens of earlier releases, which lack the claim.
    pub revocations: Option<i64>,
}

/// Which tokens of a user are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How often the user's tokens have been revoked.
    pub revocations: i64,
    /// Tokens without that count are valid if issued at this time or later.
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
