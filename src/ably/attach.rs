//! Attaching to channels. Who may enter is read from the database, for many channels of a connection at a time, while
//! the socket goes on; what goes wrong with that concerns the one channel alone (docs/live-connections.md).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, pending};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use rand::RngExt as _;
use tokio::time::Instant;

use super::auth::{Credential, Denied};
use super::capability::{Ops, room_of};
use super::door::{self, Allowed};
use super::error::ErrorInfo;
use super::frame::{Incoming, Outgoing, action, modes_in};
use super::session::Client;
use crate::domain::room_id::RoomId;
use crate::http::State;
use crate::realtime::{Attach, Attaching, Identity, Modes};

/// The modes of an attachment that asks for none (ably-chat.md, section 3.5).
const USUAL_MODES: Modes = Modes::PRESENCE
    .union(Modes::PUBLISH)
    .union(Modes::SUBSCRIBE)
    .union(Modes::PRESENCE_SUBSCRIBE)
    .union(Modes::ANNOTATION_PUBLISH);
/// How many members, or bytes of their data, in a presence sync cost as much as one frame of the client.
const MEMBERS_A_FRAME: usize = 10;
const BYTES_A_FRAME: usize = 16 * 1024;
/// The most admissions of one connection that are read at a time.
const MAX_PENDING: usize = 32;
/// How often an admission is read anew because the room keeps changing.
const MAX_ATTEMPTS: usize = 10;
/// How long the database is waited for: the client gives an attach up after 10 s.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long after the first failure the admission is read again; twice as long after each further one.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(1);

/// The admissions of a connection that are being read.
#[derive(Default)]
pub struct Admissions {
    reading: FuturesUnordered<LocalBoxFuture<'static, Admission>>,
    channels: Vec<Arc<str>>,
}

/// An ATTACH, with what was read of whether it may be done.
pub struct Admission {
    channel: Arc<str>,
    frame: Box<Incoming>,
    allowed: Result<Allowed, Denied>,
    /// Where others were found to be, before that was read.
    found: Option<RoomId>,
    attempt: usize,
}

impl Admissions {
    /// The next one that was read; never, if none is being read.
    pub async fn next(&mut self) -> Admission {
        match self.reading.next().await {
            Some(admission) => admission,
            None => pending().await,
        }
    }

    /// True for a frame that has to wait for an earlier ATTACH: of its channel, or of any, as its order requires.
    pub fn delay(&self, frame: &Incoming) -> bool {
        let is_pending = || self.channels.iter().any(|channel| frame.channel.as_deref() == Some(channel));
        match frame.action {
            action::ATTACH => self.channels.len() >= MAX_PENDING || is_pending(),
            action::DETACH | action::MESSAGE | action::PRESENCE | action::SYNC => is_pending(),
            // A pending admission was begun with the current credential, so a new one has to wait for it.
            action::AUTH => !self.channels.is_empty(),
            _ => false,
        }
    }
}

impl Client {
    /// Begins to attach: the answer is given when it is read whether the client may enter.
    pub fn begin_attach(&mut self, frame: Incoming) {
        let channel = Arc::from(frame.channel.as_deref().unwrap_or(""));
        self.admissions.channels.push(Arc::clone(&channel));
        self.read_admission(channel, Box::new(frame), None, 1);
    }

    fn read_admission(&self, channel: Arc<str>, frame: Box<Incoming>, found: Option<RoomId>, attempt: usize) {
        let (state, credential) = (self.state.clone(), Arc::clone(&self.credential));
        let user = match self.session.identity() {
            Identity::Client(id) => Some(Arc::clone(id)),
            Identity::Anonymous | Identity::Anyone => None,
        };
        // A client that is attached already may stay by its last known admission.
        let is_known = self.session.known(&channel, room_of(&channel)).is_some();
        let patience = if is_known { Duration::ZERO } else { PATIENCE };
        self.admissions.reading.push(Box::pin(async move {
            let allowed = read(&state, &credential, user, &channel, patience).await;
            Admission { channel, frame, allowed, found, attempt }
        }));
    }

    /// Attaches, or answers why not, now that the admission was read.
    pub fn finish_attach(&mut self, admission: Admission) {
        let Admission { channel, frame, allowed, found, attempt } = admission;
        let answered = match allowed {
            Ok(allowed) => match self.enter(&channel, &frame, &allowed, found) {
                Ok(Attaching::Done { .. }) => Ok(()),
                Ok(stale) if attempt < MAX_ATTEMPTS => {
                    let found = if let Attaching::Belongs(room) = stale { Some(room) } else { found };
                    return self.read_admission(channel, frame, found, attempt + 1);
                }
                Ok(_) => Err(ErrorInfo::unavailable()),
                Err(error) => Err(error),
            },
            Err(denied) => Err(denied.into_error()),
        };
        self.admissions.channels.retain(|pending| *pending != channel);
        match answered {
            Ok(()) => {}
            Err(error) if error.status_code < 500 => {
                self.session.detach(&channel); // it may have been there with more
                self.fail_channel(&channel, error);
            }
            // A channel that fails does not try again by itself. One that is detached while it attaches does, 15 s later.
            Err(error) => {
                if !self.stay(&channel, &frame) {
                    self.say(&Outgoing {
                        action: action::DETACHED,
                        channel: Some(&channel),
                        error: Some(error),
                        ..Outgoing::default()
                    });
                }
            }
        }
    }

    fn enter(
        &self,
        channel: &str,
        frame: &Incoming,
        allowed: &Allowed,
        found: Option<RoomId>,
    ) -> Result<Attaching, ErrorInfo> {
        let asked = wanted_modes(frame) & allowed.asked.modes();
        let modes = asked & allowed.grant.modes;
        if modes.is_empty() {
            let told = "the credential, or the role, allows nothing of what was asked for on this channel";
            return Err(ErrorInfo::not_capable(told));
        }
        let occupancy =
            wants_occupancy(frame) && allowed.grant.occupancy && allowed.asked.contains(Ops::CHANNEL_METADATA);
        let Allowed { who, place, entry, .. } = allowed;
        let attach = Attach { channel, place, modes, asked, occupancy, since: since(frame), who, entry, found };
        self.attach(attach)
    }

    /// Attaches a client that is in the room already, or was when its connection broke off, by what was known of it
    /// last. False if nothing is.
    fn stay(&self, channel: &str, frame: &Incoming) -> bool {
        let Some(known) = self.session.known(channel, room_of(channel)) else { return false };
        let covered = self.credential.on(channel).modes();
        let asked = wanted_modes(frame) & covered;
        let modes = asked & known.modes;
        // Only modes that are known to be allowed are given; if none is left, the attachment keeps its modes.
        let (asked, modes) =
            if modes.is_empty() { (known.asked & covered, known.modes & covered) } else { (asked, modes) };
        if modes.is_empty() {
            return false;
        }
        let occupancy = wants_occupancy(frame) && known.occupancy;
        let (place, who, entry) = (&known.place, &known.who, &known.entry);
        let attach = Attach { channel, place, modes, asked, occupancy, since: since(frame), who, entry, found: None };
        matches!(self.attach(attach), Ok(Attaching::Done { .. }))
    }

    fn attach(&self, attach: Attach<'_>) -> Result<Attaching, ErrorInfo> {
        let attached = self.session.attach(attach)?;
        if let Attaching::Done { members, bytes } = attached {
            let frames = u32::try_from(members / MEMBERS_A_FRAME + bytes / BYTES_A_FRAME).unwrap_or(u32::MAX);
            self.debt.set(self.debt.get().saturating_add(frames));
        }
        Ok(attached)
    }
}

/// Reads what somebody may do on a channel; again while the database is not available, for as long as `patience`.
async fn read(
    state: &State,
    credential: &Credential,
    user: Option<Arc<str>>,
    channel: &str,
    patience: Duration,
) -> Result<Allowed, Denied> {
    let until = Instant::now() + patience;
    let mut pause = FIRST_RETRY;
    loop {
        match door::allowed(state, credential, user.clone(), channel).await {
            Err(Denied::Unavailable) if Instant::now() + pause < until => {
                tokio::time::sleep(pause.mul_f64(rand::rng().random_range(0.5..1.5))).await;
                pause = (2 * pause).min(LONGEST_RETRY);
            }
            read => return read,
        }
    }
}

fn wanted_modes(frame: &Incoming) -> Modes {
    let wanted = modes_in(frame.flags.unwrap_or(0));
    if wanted.is_empty() { USUAL_MODES } else { wanted }
}

fn wants_occupancy(frame: &Incoming) -> bool {
    let asked = frame.params.as_ref().and_then(|params| params.occupancy.as_deref());
    asked.is_some_and(|asked| asked == "metrics" || asked.starts_with("metrics."))
}

fn since(frame: &Incoming) -> Option<&str> {
    frame.channel_serial.as_deref().filter(|since| !since.is_empty())
}
