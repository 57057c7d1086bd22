//! The one message that was received from a client and is not handled yet. No other is read before it is handled.

use std::num::NonZeroU32;

use governor::Quota;
use governor::clock::{Clock as _, DefaultClock};
use tokio::time::Instant;

use super::BYTES_A_FRAME;
use super::talk::Ending;
use super::times::Times;
use crate::ably::MAX_INBOUND_RATE;
use crate::ably::frame::Incoming;
use crate::net::web_socket::{Message, ReadError};
use crate::realtime::Rate;

pub struct Inbox {
    held: Option<Held>,
    /// When what is held can go on, if it waits for a time.
    until: Option<Instant>,
    /// The rate at which frames of this client are read; faster ones wait.
    rate: Rate,
}

enum Held {
    Message(Message),
    Frame(Box<Incoming>),
}

impl Inbox {
    pub fn new(frames: NonZeroU32) -> Self {
        Self { held: None, until: None, rate: Rate::direct(Quota::per_second(frames)) }
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_none()
    }

    /// When what is held has to be looked at again; `None` if it waits for something else, or nothing is held.
    pub fn due(&self) -> Option<Instant> {
        self.until
    }

    /// Takes what the socket gave. Whatever it is, the client is alive.
    pub fn receive(&mut self, message: Result<Message, ReadError>, times: &mut Times) -> Result<(), Ending> {
        times.heard = Instant::now();
        let message = message.map_err(Ending::of_error)?;
        (self.held, self.until) = (Some(Held::Message(message)), None);
        Ok(())
    }

    /// The message that is held, unless the client sent too much lately. `debt` is what its last frame cost besides.
    pub fn take_message(&mut self, debt: u32) -> Option<Message> {
        if self.is_waiting() {
            return None;
        }
        let size = match &self.held {
            Some(Held::Message(Message::Text(bytes) | Message::Binary(bytes))) => bytes.len(),
            Some(Held::Message(_)) => 0,
            _ => return None,
        };
        let cost = u32::try_from(size / BYTES_A_FRAME).unwrap_or(u32::MAX).saturating_add(debt);
        let cost = NonZeroU32::MIN.saturating_add(cost).min(MAX_INBOUND_RATE);
        if let Ok(Err(later)) = self.rate.check_n(cost) {
            self.until = Some(Instant::now() + later.wait_time_from(DefaultClock::default().now()));
            return None;
        }
        match self.held.take() {
            Some(Held::Message(message)) => Some(message),
            held => {
                self.held = held;
                None
            }
        }
    }

    /// The frame that is held, unless it has to wait.
    pub fn take_frame(&mut self, has_to_wait: impl FnOnce(&Incoming) -> bool) -> Option<Box<Incoming>> {
        match self.held.take() {
            Some(Held::Frame(frame)) if !self.is_waiting() && !has_to_wait(&frame) => Some(frame),
            held => {
                self.held = held;
                None
            }
        }
    }

    /// Holds a frame until it is taken.
    pub fn hold(&mut self, frame: Box<Incoming>) {
        (self.held, self.until) = (Some(Held::Frame(frame)), None);
    }

    /// Holds a frame until then.
    pub fn hold_until(&mut self, frame: Box<Incoming>, at: Instant) {
        (self.held, self.until) = (Some(Held::Frame(frame)), Some(at));
    }

    fn is_waiting(&mut self) -> bool {
        if self.until.is_some_and(|at| at <= Instant::now()) {
            self.until = None;
        }
        self.until.is_some()
    }
}
