//! How long a request would wait for its statement, and whether it is worth it (docs/limits.md, "Overload").

use std::time::Duration;

use tokio::time::Instant;

use crate::store::pool::BURST;

/// Statements that take longer than usual: by a lock, by their connection or by the disk. The next statement runs beside
/// one that is held up. The waiters are checked at least this often.
pub(super) const SLOW: Duration = Duration::from_millis(100);
/// The most statements that run at once: they leave a connection of the thread to others.
pub(super) const AT_ONCE: usize = 3;
/// The rows of a statement.
pub(super) const MOST: usize = 512;
/// The requests of one.
pub(super) const MOST_ITEMS: usize = 128;
/// A statement that takes this long waits for the disk rather than works: more requests share it.
const WAITS_FOR_DISK: Duration = Duration::from_millis(40);
/// How many times more.
const MORE: usize = 4;

/// The statements of a batch that run, and how long they usually take.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// When each of those that run began.
    running: [Option<Instant>; AT_ONCE],
    /// How long statements took lately; the last ones count most.
    usual: Duration,
}

/// One of the statements that may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane(usize);

impl Load {
    /// The requests and the rows that a statement is for at most.
    pub fn most(&self) -> (usize, usize) {
        let times = if self.usual >= WAITS_FOR_DISK { MORE } else { 1 };
        (MOST_ITEMS * times, MOST * times)
    }

    /// Whether a request is admitted behind `items` that wait with `rows` in all: it can be answered within `patience`,
    /// and before long. One that finds no statement running always is: its statement shows how the database does.
    pub fn admits(&self, items: usize, rows: usize, now: Instant, patience: Duration) -> bool {
        if self.count() == 0 {
            return true;
        }
        let (most_items, most_rows) = self.most();
        let turns = (items / most_items).max(rows / most_rows) + 1;
        let wait = self.until_one_ends(now) + self.usual * u32::try_from(turns).unwrap_or(u32::MAX).min(1_000);
        // The next statement is for all who fit in it: nobody else has to wait for them.
        if turns == 1 {
            return wait <= patience;
        }
        wait <= (2 * self.usual + BURST).min(patience)
    }

    /// Whether the answer to a request that has waited for `waited` would come too late if its statement began now.
    pub fn is_too_late(&self, waited: Duration, patience: Duration) -> bool {
        // A request that has just come is tried, however long it may take.
        waited + self.usual.min(patience.saturating_sub(SLOW)) >= patience
    }

    /// Takes a lane for another statement; none if no other should run.
    pub fn begin(&mut self, most: usize, now: Instant) -> Option<Lane> {
        if self.count() >= most {
            return None;
        }
        let lane = self.running.iter().position(Option::is_none)?;
        self.running[lane] = Some(now);
        Some(Lane(lane))
    }

    /// The next statement of a lane begins.
    pub fn begins_again(&mut self, Lane(lane): Lane, now: Instant) {
        self.running[lane] = Some(now);
    }

    /// A statement ended, or was given up.
    pub fn took(&mut self, time: Duration) {
        self.usual = (self.usual + time) / 2;
    }

    /// No further statement runs in the lane.
    pub fn ends(&mut self, Lane(lane): Lane) {
        self.running[lane] = None;
    }

    /// How many statements run.
    pub fn count(&self) -> usize {
        self.running.iter().flatten().count()
    }

    /// Whether all statements that run take longer than usual: another one may be quicker.
    pub fn is_held_up(&self, now: Instant) -> bool {
        self.running.iter().flatten().all(|began| self.is_slow(*began, now))
    }

    /// Whether the other lanes do without this one.
    pub fn is_spare(&self, Lane(lane): Lane, now: Instant) -> bool {
        let others = self.running.iter().enumerate().filter(|(other, _)| *other != lane);
        others.filter_map(|(_, began)| *began).any(|began| !self.is_slow(began, now))
    }

    fn is_slow(&self, began: Instant, now: Instant) -> bool {
        now.saturating_duration_since(began) >= SLOW.max(2 * self.usual)
    }

    /// How long until a statement ends, or another one may begin beside those that are held up. Of one that takes longer
    /// than usual nothing is known but that: it is expected to take as long again.
    fn until_one_ends(&self, now: Instant) -> Duration {
        let left = |began: &Instant| {
            let running = now.saturating_duration_since(*began);
            if running < self.usual { self.usual - running } else { running }
        };
        let ends = self.running.iter().flatten().map(left).min().unwrap_or_default();
        if self.count() < AT_ONCE { ends.min(SLOW.max(2 * self.usual)) } else { ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(1_600);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A load of one statement that runs for `running`, when statements usually take `usual`.
    fn load(usual: Duration, running: Duration) -> (Load, Instant) {
        let now = Instant::now() + ms(10_000);
        let mut load = Load { usual, ..Load::default() };
        load.begin(1, now - running);
        (load, now)
    }

    #[test]
    fn requests_wait_for_a_tenth_of_a_second_and_no_more() {
        let (load, now) = load(ms(2), ms(1));
        assert!(load.admits(40 * MOST_ITEMS, 0, now, PATIENCE));
        assert!(!load.admits(60 * MOST_ITEMS, 0, now, PATIENCE));
    }

    #[test]
    fn with_a_slow_disk_the_next_statement_is_for_more_and_nobody_waits_for_the_one_after() {
        let (load, now) = load(ms(500), ms(400));
        assert!(load.admits(4 * MOST_ITEMS - 1, 0, now, PATIENCE));
        assert!(load.admits(4 * MOST_ITEMS, 0, now, PATIENCE), "0.1 s and two statements");
        assert!(!load.admits(8 * MOST_ITEMS, 0, now, PATIENCE));
        assert!(!load.admits(0, 12 * MOST, now, PATIENCE));
    }

    #[test]
    fn a_database_that_does_not_answer_in_time_is_tried_by_one_request_at_a_time() {
        let (mut load, now) = load(PATIENCE, ms(500));
        assert!(!load.admits(0, 0, now, PATIENCE));
        load.ends(Lane(0));
        assert!(load.admits(0, 0, now, PATIENCE));
        assert!(!load.is_too_late(ms(10), PATIENCE), "one that has just come is tried");
        assert!(load.is_too_late(ms(200), PATIENCE));
    }

    #[test]
    fn a_statement_that_takes_long_once_turns_nobody_away() {
        let (load, now) = load(ms(2), ms(700));
        assert!(load.admits(MOST_ITEMS - 1, 0, now, PATIENCE));
    }

    #[test]
    fn beside_statements_that_are_held_up_others_run_until_they_recover() {
        let (mut load, now) = load(ms(2), ms(150));
        assert!(load.is_held_up(now));
        let Some(beside) = load.begin(AT_ONCE, now) else { panic!("there is a lane") };
        assert!(!load.is_spare(beside, now), "the other is held up");

        load.begins_again(Lane(0), now);
        assert!(load.is_spare(beside, now));
    }
}
