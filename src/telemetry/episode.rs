//! Logs events that come in great numbers as episodes: one line when an episode begins, one each minute, and one when it
//! has ended.

use std::ops::AddAssign;
use std::time::Duration;

use tokio::time::{Instant, interval};

/// How often counts are read.
const LOOK: Duration = Duration::from_secs(1);
/// How often an episode is logged while it lasts.
const AGAIN: Duration = Duration::from_secs(60);
/// An episode has ended when nothing is counted for this long.
const QUIET: Duration = Duration::from_secs(10);

/// A line to log, with what was counted since the line before, or in the whole episode at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Episode<C> {
    Begins(C),
    Lasts(C),
    Ends { all: C, lasted: Duration },
}

/// Reads counts with `take`, which resets them, and hands each line to `log`. Never returns.
pub async fn follow<C: Copy + Default + PartialEq + AddAssign>(take: impl Fn() -> C, log: impl Fn(Episode<C>)) {
    let mut look = interval(LOOK);
    loop {
        look.tick().await;
        let first = take();
        if first == C::default() {
            continue;
        }
        log(Episode::Begins(first));
        let began = Instant::now();
        let (mut all, mut since_line) = (first, C::default());
        let (mut last, mut line) = (began, began);
        while last.elapsed() < QUIET {
            look.tick().await;
            let counted = take();
            if counted != C::default() {
                last = Instant::now();
                all += counted;
                since_line += counted;
            }
            if line.elapsed() >= AGAIN && since_line != C::default() {
                log(Episode::Lasts(since_line));
                (line, since_line) = (Instant::now(), C::default());
            }
        }
        log(Episode::Ends { all, lasted: last - began });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_episode_is_logged_when_it_begins_each_minute_and_when_it_has_ended() {
        let (count, lines) = (Cell::new(0_u64), RefCell::new(Vec::new()));
        let following = follow(|| count.take(), |line| lines.borrow_mut().push(line));
        let counting = async {
            sleep(Duration::from_millis(3_500)).await;
            for _ in 0..90 {
                count.set(count.get() + 2);
                sleep(Duration::from_secs(1)).await;
            }
            sleep(Duration::from_secs(20)).await;
        };

        tokio::select! {
            () = following => {}
            () = counting => {}
        }

        let lasted = Duration::from_secs(89);
        assert_eq!(*lines.borrow(), [Episode::Begins(2), Episode::Lasts(120), Episode::Ends { all: 180, lasted }]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_less_than_ten_seconds_is_one_episode() {
        let (count, lines) = (Cell::new(0_u64), RefCell::new(Vec::new()));
        let following = follow(|| count.take(), |line| lines.borrow_mut().push(line));
        let counting = async {
            for pause in [9, 9, 15] {
                count.set(1);
                sleep(Duration::from_secs(pause)).await;
            }
        };

        let _ = timeout(Duration::from_secs(60), async { tokio::join!(following, counting) }).await;

        assert_eq!(lines.borrow().len(), 2, "{lines:?}");
    }
}
