//! A room's rate, shared fairly: who uses little of it is not crowded out by who uses much.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::ConnectionId;

/// A limit of so many a second for all connections of a room together. A connection that stays below an equal share of
/// the rate is served even while others use up the rest; what it takes comes off what they get next.
///
/// Crates for rate limits, `governor` among them, know one bucket, or one for each key, but no share of a common one.
#[derive(Debug)]
pub struct Share {
    rate: f64,
    burst: f64,
    /// What is left of the burst; down to a second's worth below zero.
    left: f64,
    at: Instant,
    /// Of each connection that was served lately, how much, less what its share has covered since.
    used: HashMap<ConnectionId, f64>,
}

/// How often what was used is brought up to date: that takes time for each connection.
const STEP: Duration = Duration::from_millis(20);
/// The shortest and the longest wait that a refusal names.
const WAIT: (f64, f64) = (0.01, 1.0);

impl Share {
    /// So many a second, and `burst` at once.
    pub fn new(rate: NonZeroU32, burst: u32) -> Self {
        let (rate, burst) = (f64::from(rate.get()), f64::from(burst.max(rate.get())));
        Self { rate, burst, left: burst, at: Instant::now(), used: HashMap::new() }
    }

    /// Takes `count` for a connection, or gives how long to wait before it is worth trying again.
    pub fn take(&mut self, connection: ConnectionId, count: usize, now: Instant) -> Result<(), Duration> {
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        self.pass(now);
        let used = self.used.get(&connection).copied().unwrap_or(0.0);
        let is_within_share = used + count <= self.share(connection) && self.left - count >= -self.rate;
        if self.left < count && !is_within_share {
            let wait = ((count.min(self.burst) - self.left) / self.rate).clamp(WAIT.0, WAIT.1);
            return Err(Duration::from_secs_f64(wait));
        }
        self.left -= count;
        *self.used.entry(connection).or_default() += count;
        Ok(())
    }

    /// What each of those served lately, and `connection`, has of a second.
    fn share(&self, connection: ConnectionId) -> f64 {
        let newcomer = usize::from(!self.used.contains_key(&connection));
        let connections = u32::try_from(self.used.len() + newcomer).unwrap_or(u32::MAX);
        self.rate / f64::from(connections.max(1))
    }

    fn pass(&mut self, now: Instant) {
        let passed = now.duration_since(self.at);
        if passed < STEP {
            return;
        }
        self.at = now;
        self.left = (self.left + self.rate * passed.as_secs_f64()).min(self.burst);
        let connections = u32::try_from(self.used.len()).unwrap_or(u32::MAX);
        let covered = self.rate / f64::from(connections.max(1)) * passed.as_secs_f64();
        self.used.retain(|_, used| {
            *used -= covered;
            *used > 0.0
        });
        if self.used.is_empty() {
            self.used = HashMap::new(); // its memory, too
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: NonZeroU32 = NonZeroU32::new(50).unwrap();

    /// How many of each connection's attempts are served in so many seconds: every 20 ms, each makes as many as given.
    fn served(share: &mut Share, seconds: u64, attempts: &[(u64, usize)]) -> HashMap<u64, usize> {
        let start = Instant::now();
        let mut served = HashMap::new();
        for step in 0..seconds * 50 {
            let now = start + Duration::from_millis(20 * step);
            for (connection, each) in attempts {
                let taken = (0..*each).filter(|_| share.take((*connection).into(), 1, now).is_ok()).count();
                *served.entry(*connection).or_default() += taken;
            }
        }
        served
    }

    #[test]
    fn a_connection_alone_has_the_whole_rate() {
        let served = served(&mut Share::new(RATE, 50), 10, &[(1, 5)]);

        assert!((545..=555).contains(&served[&1]), "{served:?}");
    }

    #[test]
    fn three_that_flood_get_no_more_than_what_a_quiet_one_leaves() {
        let mut share = Share::new(RATE, 200);
        let _ = served(&mut share, 10, &[(1, 10), (2, 10), (3, 10)]);
        let start = Instant::now() + Duration::from_secs(20);
        let (mut quiet, mut loud) = (0, 0);
        for step in 0..500 {
            let now = start + Duration::from_millis(20 * step);
            loud += (0..30).filter(|n| share.take((1 + n % 3).into(), 1, now).is_ok()).count();
            if step % 10 == 0 {
                quiet += usize::from(share.take(9.into(), 1, now).is_ok()); // five a second
            }
        }

        assert_eq!(quiet, 50);
        assert!(loud + quiet <= 50 * 10 + 200 + 50, "{loud}");
    }

    #[test]
    fn many_together_get_no_more_than_the_rate_and_one_burst() {
        let crowd: Vec<(u64, usize)> = (0..400).map(|n| (n, 1)).collect();
        let served = served(&mut Share::new(RATE, 50), 10, &crowd);

        let all: usize = served.values().sum();
        assert!((500..=600 + 50).contains(&all), "{all}");
    }

    #[test]
    fn a_refusal_says_when_there_is_more() {
        let mut share = Share::new(RATE, 50);
        let now = Instant::now();
        assert_eq!(share.take(1.into(), 50, now), Ok(()));
        let wait = share.take(1.into(), 10, now).expect_err("nothing is left");

        assert_eq!(wait, Duration::from_millis(200));
        assert_eq!(share.take(1.into(), 10, now + wait), Ok(()));
    }
}
