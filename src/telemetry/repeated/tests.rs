//! Lines as a subscriber sees them.

use tokio::time::sleep;
use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use super::*;

/// What was written: each line's message, and the number that is said to be left out.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<(String, u64)>>>);

impl Written {
    fn take(&self) -> Vec<(String, u64)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Written {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Count(u64, String);
        impl Visit for Count {
            fn record_u64(&mut self, field: &Field, value: u64) {
                if field.name() == "count" {
                    self.0 = value;
                }
            }
            fn record_str(&mut self, field: &Field, value: &str) {
                if field.name() == "line" {
                    self.1 = value.to_owned();
                }
            }
            fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
        }
        let (mut count, mut read) = (Count(0, String::new()), Read::default());
        event.record(&mut count);
        event.record(&mut read);
        let line = if count.0 > 0 { count.1 } else { read.text };
        self.0.lock().unwrap().push((line, count.0));
    }
}

fn log() -> (Repeated, Written, DefaultGuard) {
    let (repeated, written) = (Repeated::default(), Written::default());
    let guard = set_default(registry().with(repeated.clone()).with(written.clone()));
    (repeated, written, guard)
}

fn lines(lines: &[(&str, u64)]) -> Vec<(String, u64)> {
    lines.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_line_of_each_second_is_written_and_the_others_are_counted() {
    let (repeated, written, _guard) = log();
    let refuse = |times: u32| (0..times).for_each(|n| tracing::info!(n, "refused"));

    refuse(1000);
    assert_eq!(written.take(), lines(&[("refused", 0)]));
    sleep(Duration::from_millis(999)).await;
    refuse(1);
    repeated.tell();
    assert_eq!(written.take(), lines(&[("refused", 1000)]));
    sleep(Duration::from_millis(1)).await;
    refuse(2);
    repeated.tell();
    repeated.tell();
    assert_eq!(written.take(), lines(&[("refused", 0), ("refused", 1)]));
}

#[tokio::test(start_paused = true)]
async fn lines_of_another_place_or_of_another_kind_are_written() {
    let (repeated, written, _guard) = log();

    for code in [1, 2, 1, 2] {
        tracing::warn!(code, "a code");
    }
    for kind in ["date", "key", "date"] {
        tracing::warn!(kind, "a kind");
    }
    tracing::warn!("elsewhere");

    let each_first = [("a code", 0), ("a code", 0), ("a kind", 0), ("a kind", 0), ("elsewhere", 0)];
    assert_eq!(written.take(), lines(&each_first));
    repeated.tell();
    assert_eq!(written.take().iter().map(|(_, count)| count).sum::<u64>(), 3);
}

#[tokio::test(start_paused = true)]
async fn several_errors_are_written_and_all_that_is_below_info() {
    let (_repeated, written, _guard) = log();

    (0..100).for_each(|_| tracing::error!("failed"));
    assert_eq!(written.take().len(), 10);
    (0..100).for_each(|_| tracing::debug!("answered"));
    assert_eq!(written.take().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_bounded_and_forgotten() {
    let (repeated, written, _guard) = log();

    (0..10_000).for_each(|code| tracing::info!(code, "refused"));
    assert_eq!(repeated.lines().len(), MOST + 1);
    assert_eq!(written.take().len(), MOST + 1);
    sleep(WINDOW).await;
    repeated.tell();
    sleep(WINDOW).await;
    repeated.tell();
    assert_eq!(repeated.lines().len(), 0);
}
