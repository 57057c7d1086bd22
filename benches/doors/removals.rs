//! How long after a removal is acknowledged the last frame comes to who is removed, while another goes on speaking.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::backend::Backend;
use crate::client::{ACK, Client, Frame, MESSAGE, NACK};
use crate::processes::{Result, Service};
use crate::table::Delays;

/// So many times the user is let in and removed.
pub const REMOVALS: usize = 400;
/// How often the other one in the room says something.
pub const EVERY: Duration = Duration::from_millis(5);
/// So many before any is measured.
const WARM_UP: usize = 10;
/// How long nothing may follow.
const AFTER: Duration = Duration::from_millis(20);
/// How often one on the roster is refused before a run is given up.
const ATTEMPTS: usize = 10;

/// A user in a room, and what may put it there and remove it.
struct Removed {
    backend: Backend,
    id: String,
    client: Client,
    room: String,
    channel: String,
    /// How often it was told to be outside while it was on the roster.
    refused: usize,
}

/// What was measured.
pub struct Removals {
    /// In milliseconds, and less than nothing where the last frame came before the answer.
    pub delays: Delays,
    /// So many times who was on the roster, by an acknowledged change, was told not to be.
    pub refused: usize,
}

/// Removes through one service who is in a room of another, or of the same, again and again.
pub async fn measure(asked: &Service, entered: &Service) -> Result<Removals> {
    let mut backend = Backend::connect(asked).await?;
    let (speaker, user) = (backend.user().await?, backend.user().await?);
    let room = backend.room(json!({ speaker.id: { "role": "Presenter" } })).await?;
    let mut speaking = Client::connect(entered, &speaker.token).await?;
    speaking.go_into(&room).await?;
    let client = Client::connect(entered, &user.token).await?;
    let channel = format!("{room}::$chat");
    let mut removed = Removed { backend, id: user.id, client, room: room.clone(), channel, refused: 0 };

    tokio::select! {
        delays = removed.again_and_again() => delays,
        ended = speak(&mut speaking, &room) => Err(ended.err().unwrap_or_else(|| "nobody speaks any more".into())),
    }
}

/// Says something again and again, and ends only with what went wrong.
async fn speak(client: &mut Client, room: &str) -> Result<()> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => client.say(room).await?,
            heard = client.next() => heard?.1.is_good()?,
        }
    }
}

impl Removed {
    async fn again_and_again(&mut self) -> Result<Removals> {
        let mut delays = Delays::default();
        for round in 0..WARM_UP + REMOVALS {
            // Of different lengths: some end where occupancy is told, 50 ms after a change, and no clock goes in step.
            let took = self.once(Duration::from_millis(20 + round as u64 * 7 % 50)).await?;
            if round >= WARM_UP {
                delays.0.push(took);
            }
        }
        Ok(Removals { delays, refused: self.refused })
    }

    /// Enters, stays so long, and is removed.
    async fn once(&mut self, stay: Duration) -> Result<f64> {
        self.backend.patch(&self.room, json!({ self.id.as_str(): { "role": "Attendee" } })).await?;
        let mut attempts = 0;
        while !self.stays(stay).await? {
            (attempts, self.refused) = (attempts + 1, self.refused + 1);
            if attempts == ATTEMPTS {
                return Err("who is on the roster is not let in".into());
            }
        }

        let removal = self.backend.patch(&self.room, json!({ self.id.as_str(): Value::Null }));
        let (answered, last) = tokio::try_join!(removal, until_outside(&mut self.client, &self.channel))?;
        let after = self.client.hear(AFTER).await?;
        match after.iter().find(|frame| frame.channel.as_ref() == Some(&self.channel)) {
            Some(frame) => Err(format!("who is removed was told more: {frame:?}").into()),
            None => Ok(millis_from(answered, last)),
        }
    }

    /// Goes in and stays so long. False if it is told meanwhile that it is not on the roster.
    async fn stays(&mut self, stay: Duration) -> Result<bool> {
        self.client.go_into(&self.room).await?;
        let mut heard = Vec::new();
        while !heard.last().is_some_and(|frame: &Frame| matches!(frame.action, ACK | NACK)) {
            heard.push(self.client.next().await?.1);
        }
        heard.extend(self.client.hear(stay).await?);
        if heard.iter().any(|frame| frame.is_removal(&self.channel)) {
            return Ok(false);
        }
        heard.iter().try_for_each(Frame::is_good)?;
        let is_told = heard.iter().any(|frame| frame.action == MESSAGE);
        if is_told { Ok(true) } else { Err("who is in the room was told nothing there".into()) }
    }
}

/// When the client was told that it is outside, behind all that it was told before.
async fn until_outside(client: &mut Client, channel: &str) -> Result<Instant> {
    loop {
        let (came, frame) = client.next().await?;
        if frame.is_removal(channel) {
            return Ok(came);
        }
        frame.is_good()?;
    }
}

fn millis_from(begin: Instant, end: Instant) -> f64 {
    let after = end.saturating_duration_since(begin).as_secs_f64();
    let before = begin.saturating_duration_since(end).as_secs_f64();
    (after - before) * 1000.0
}
