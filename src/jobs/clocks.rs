//! Tells when the clock of this machine and that of the database differ.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::service::Context;
use crate::service::clocks::{self, MOST_SKEW};

const EVERY: Duration = Duration::from_secs(60);
/// Less is of no concern.
const NOTICED: TimeDelta = TimeDelta::seconds(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Agree,
    Differ,
    /// By so much that nothing is deleted.
    TooFar,
}

impl State {
    fn of(skew: TimeDelta) -> Self {
        match skew.abs() {
            skew if skew > MOST_SKEW => Self::TooFar,
            skew if skew >= NOTICED => Self::Differ,
            _ => Self::Agree,
        }
    }
}

/// Reads both clocks now and each minute, and logs when they begin to differ, differ too much, or agree again.
pub async fn run(ctx: Context, stop: CancellationToken) {
    let (mut ticks, mut state) = (interval(EVERY), State::Agree);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let Ok(both) = clocks::read(&ctx).await else { continue }; // that it is away is told elsewhere
        let (skew_ms, now) = (both.skew().num_milliseconds(), State::of(both.skew()));
        if now != state {
            match now {
                State::Agree => tracing::info!(skew_ms, "the clocks of this machine and of the database agree again"),
                State::Differ => tracing::warn!(skew_ms, "the clocks of this machine and of the database differ"),
                State::TooFar => tracing::error!(
                    skew_ms,
                    "the clocks of this machine and of the database differ by more than a minute: nothing is deleted \
                     until they agree; set the clock that is wrong"
                ),
            }
        }
        state = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_noticed_and_a_minute_is_too_far_in_either_direction() {
        let states = [0, 999, 1_000, -60_000, 60_001, -60_001].map(|ms| State::of(TimeDelta::milliseconds(ms)));
        use State::{Agree, Differ, TooFar};
        assert_eq!(states, [Agree, Agree, Differ, Differ, TooFar, TooFar]);
    }
}
