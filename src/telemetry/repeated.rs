//! Keeps the log short when a line repeats: clients can cause most lines as often as they like.
//!
//! This is a layer and no helper for each place that logs, as crates that we use log what clients send, too: rustls
//! warns of a bad server name, actix-http of an unfinished frame. The crate `tracing-throttle` does much of this; at
//! 0.4 it takes all fields for what tells lines apart, which clients choose, and counts by the system's clock.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// For how long lines like one that was written are counted.
const WINDOW: Duration = Duration::from_secs(1);
/// Errors that are written in that time: each has a reason of its own, which an answer refers to.
const ERRORS: u32 = 10;
/// Lines that are told apart at once; all others are taken for one.
const MOST: usize = 1024;
/// How much of a line's text is kept to tell of it.
const TEXT: usize = 128;
/// The fields that tell lines of the same place apart. Clients have no say in their values.
const KINDS: [&str; 3] = ["kind", "code", "log.target"];

/// Writes the first line of a kind in each second and counts the others. What is below `info` is written all.
#[derive(Debug, Clone, Default)]
pub struct Repeated(Arc<Mutex<HashMap<Key, Line>>>);

/// `None` is all for which there was no place.
type Key = Option<(Identifier, u64)>;

#[derive(Debug)]
struct Line {
    level: Level,
    text: String,
    kind: String,
    since: Instant,
    written: u32,
    left_out: u64,
}

impl Repeated {
    /// Logs how many lines were left out since this was last called. Calls have to be about [`WINDOW`] apart.
    pub fn tell(&self) {
        let now = Instant::now();
        let mut told = Vec::new();
        self.lines().retain(|_, line| {
            let count = std::mem::take(&mut line.left_out);
            if count > 0 {
                told.push((line.level, line.text.clone(), line.kind.clone(), count));
            }
            count > 0 || now - line.since < WINDOW
        });
        for (level, line, kind, count) in told {
            let kind = Some(kind).filter(|kind| !kind.is_empty());
            let text = "lines like this were left out in the last second";
            match level {
                Level::ERROR => tracing::error!(line, kind, count, "{text}"),
                Level::WARN => tracing::warn!(line, kind, count, "{text}"),
                _ => tracing::info!(line, kind, count, "{text}"),
            }
        }
    }

    fn is_written(&self, event: &Event<'_>) -> bool {
        let (metadata, now) = (event.metadata(), Instant::now());
        let mut kind = Kind::default();
        event.record(&mut kind);
        let mut lines = self.lines();
        let mut key = Some((metadata.callsite(), kind.0.finish()));
        if lines.len() >= MOST && !lines.contains_key(&key) {
            key = None;
        }
        let level = *metadata.level();
        let line = lines.entry(key).or_insert_with(|| {
            let mut read = Read::default();
            event.record(&mut read);
            Line { level, text: read.text, kind: read.kind, since: now, written: 0, left_out: 0 }
        });
        if now - line.since >= WINDOW {
            (line.since, line.written) = (now, 0);
        }
        let is_written = line.written < if level == Level::ERROR { ERRORS } else { 1 };
        if is_written {
            line.written += 1
        } else {
            line.left_out += 1
        }
        is_written
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Key, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Repeated {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        *metadata.level() > Level::INFO || metadata.target() == module_path!() || self.is_written(event)
    }
}

/// What tells a line apart, hashed.
#[derive(Default)]
struct Kind(DefaultHasher);

impl Visit for Kind {
    fn record_str(&mut self, field: &Field, value: &str) {
        if KINDS.contains(&field.name()) {
            value.hash(&mut self.0);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if KINDS.contains(&field.name()) {
            value.hash(&mut self.0);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if KINDS.contains(&field.name()) {
            value.hash(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// The same as text, with the message.
#[derive(Default)]
struct Read {
    text: String,
    kind: String,
}

impl Visit for Read {
    fn record_str(&mut self, field: &Field, value: &str) {
        if KINDS.contains(&field.name()) {
            self.kind = value.chars().take(TEXT).collect();
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if KINDS.contains(&field.name()) {
            self.kind = value.to_string();
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if KINDS.contains(&field.name()) {
            self.kind = value.to_string();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.text = format!("{value:?}").chars().take(TEXT).collect();
        }
    }
}

#[cfg(test)]
mod tests;
