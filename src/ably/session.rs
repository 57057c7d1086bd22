//! Handles a client's frames (ably-chat.md, section 3).

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;

use super::MAX_FRAME;
use super::attach::Admissions;
use super::auth::{self, Credential, Denied, Presented};
use super::capability::Ops;
use super::codec::Format;
use super::content::{WireData, WireExtras};
use super::error::ErrorInfo;
use super::frame::presence_action::{ENTER, LEAVE, UPDATE};
use super::frame::{ConnectionDetails, Incoming, IncomingMessage, IncomingPresence, Outgoing, Published, action};
use crate::auth::keys::LiveKeys;
use crate::http::State;
use crate::realtime::{
    Answer, Grant, Hub, Identity, NewMessage, NewPresence, Payload, PresenceAction, Refusal, Session, Tell,
};

/// One client, over one socket.
pub struct Client {
    pub state: State,
    pub keys: LiveKeys,
    pub hub: Arc<Hub>,
    pub session: Session,
    pub credential: Arc<Credential>,
    pub format: Format,
    /// The longest time without a frame from us.
    pub idle: Duration,
    /// Frames that the last one cost besides itself.
    pub debt: Cell<u32>,
    pub admissions: Admissions,
}

/// What becomes of the socket after a frame.
pub enum Next {
    Continue,
    /// The frame is to be handled again, so much later.
    Wait(Box<Incoming>, Duration),
    /// The client is to be asked for another token, so much later.
    RenewLater(Duration),
    /// For good, at the client's wish.
    Close,
    /// The client may come back.
    Drop,
    /// For good, at ours.
    Fail(ErrorInfo),
    /// Ends now; the client comes back.
    Part(ErrorInfo),
}

/// How long after a renewal that could not be judged the client is asked again, at least; at most twice as long.
const RENEW_AGAIN: Duration = Duration::from_secs(3);

impl Client {
    /// Handles a frame.
    pub async fn handle(&mut self, frame: Incoming) -> Next {
        match frame.action {
            action::HEARTBEAT => {
                if let Some(id) = &frame.id {
                    self.say(&Outgoing { action: action::HEARTBEAT, id: Some(id), ..Outgoing::default() });
                }
            }
            action::CLOSE => return Next::Close,
            action::DISCONNECT => return Next::Drop,
            action::ATTACH => self.begin_attach(frame),
            action::DETACH => self.detach(&frame),
            action::MESSAGE => return self.publish(frame),
            action::PRESENCE => return self.change_presence(frame),
            // On its own heap, as it is rare and large: each socket would keep room for it.
            action::AUTH => return Box::pin(self.renew(frame)).await,
            other => {
                // An action that is not served yet is refused if the client waits for an answer, and ignored otherwise.
                if let Some(serial) = frame.msg_serial {
                    let told = format!("action {other} is not served");
                    self.answer(serial, Err(Refusal::Malformed(told.into())));
                }
            }
        }
        Next::Continue
    }

    /// Tells the client who it is, and what it needs to know of its connection.
    pub fn tell_connected(&self, error: Option<ErrorInfo>) {
        let client_id = match self.session.identity() {
            Identity::Anonymous => None,
            Identity::Anyone => Some("*"),
            Identity::Client(id) => Some(&**id),
        };
        let details = ConnectionDetails {
            client_id,
            connection_key: self.session.key(),
            max_message_size: self.hub.limits().message_size,
            max_frame_size: MAX_FRAME,
            max_inbound_rate: self.hub.limits().rate_per_connection.get(),
            server_id: self.hub.node(),
            connection_state_ttl: millis(crate::realtime::RESUMABLE_FOR),
            max_idle_interval: millis(self.idle),
        };
        self.say(&Outgoing {
            action: action::CONNECTED,
            connection_id: Some(self.session.id().to_string()),
            connection_key: Some(self.session.key()),
            connection_details: Some(details),
            timestamp: Some(self.state.ctx.clock.now().timestamp_millis()),
            error,
            ..Outgoing::default()
        });
    }

    /// Puts a frame behind what the client is to be told already.
    pub fn say(&self, frame: &Outgoing<'_>) {
        self.session.outbox().push(Tell::Own(self.format.encode(frame)));
    }

    fn detach(&self, frame: &Incoming) {
        let channel = frame.channel.as_deref().unwrap_or("");
        self.session.detach(channel);
        self.say(&Outgoing { action: action::DETACHED, channel: Some(channel), ..Outgoing::default() });
    }

    fn publish(&self, frame: Incoming) -> Next {
        let Some(serial) = frame.msg_serial else { return without_serial() };
        let channel = frame.channel.as_deref().unwrap_or("");
        let claim = self.credential.claim(channel);
        let answer = messages(frame.messages.unwrap_or_default())
            .and_then(|messages| self.session.publish(serial, channel, messages, claim));
        self.answer(serial, answer);
        Next::Continue
    }

    fn change_presence(&self, frame: Incoming) -> Next {
        let Some(serial) = frame.msg_serial else { return without_serial() };
        let channel = frame.channel.as_deref().unwrap_or("");
        // Members that enter are never refused for their number a second: the SDK would not try again. They wait.
        let entering = self.session.entering(channel, entries(frame.presence.iter().flatten()));
        if let Err(wait) = self.session.let_enter(channel, entering) {
            return Next::Wait(Box::new(frame), wait);
        }
        self.debt.set(self.debt.get().saturating_add(u32::try_from(entering).unwrap_or(u32::MAX)));
        let claim = self.credential.claim(channel);
        let answer = presence(frame.presence.unwrap_or_default())
            .and_then(|items| self.session.presence(serial, channel, items, claim));
        self.answer(serial, answer);
        Next::Continue
    }

    /// Behind the echo, which is there already: the SDK takes an ACK for the end of the matter (section 3.8).
    pub fn answer(&self, serial: u64, answer: Answer) {
        let out = Outgoing { msg_serial: Some(serial), count: Some(1), ..Outgoing::default() };
        match answer {
            Ok(serials) => {
                let res = Some([Published { serials: &serials }]);
                self.say(&Outgoing { action: action::ACK, res, ..out });
            }
            Err(refusal) => self.say(&Outgoing { action: action::NACK, error: Some(refusal.into()), ..out }),
        }
    }

    /// Another token for the same client (section 2.7).
    async fn renew(&mut self, frame: Incoming) -> Next {
        let Some(token) = frame.auth.and_then(|auth| auth.access_token) else {
            return Next::Fail(ErrorInfo::malformed_credential("an AUTH frame carries auth.accessToken"));
        };
        let keys = self.keys.current();
        let credential = match auth::judge(&self.state, &keys, &Presented::Token(token), true).await {
            Ok(credential) => credential,
            // A stale one: the client may come back with another, and go on.
            Err(Denied::Refused(error)) if (40140..40150).contains(&error.code) => return Next::Part(error),
            Err(Denied::Refused(error)) => return Next::Fail(error),
            // The token that it has is good for a while yet.
            Err(Denied::Unavailable | Denied::Later(_)) => {
                return Next::RenewLater(RENEW_AGAIN.mul_f64(rand::rng().random_range(1.0..2.0)));
            }
        };
        let asked = match self.session.identity() {
            Identity::Client(id) => Some(&**id),
            Identity::Anyone => Some("*"),
            Identity::Anonymous => None,
        };
        let is_same = credential.resource == self.credential.resource
            && credential.owner(asked).is_ok_and(|owner| owner.identity == *self.session.identity());
        if !is_same {
            return Next::Fail(ErrorInfo::other_client());
        }
        self.credential = Arc::new(credential);
        self.session.holds_token_of(self.credential.issue);
        self.tell_connected(None);
        let lost = self.session.regrant(|channel| granted(self.credential.on(channel)));
        for channel in lost {
            let told = "the new token does not allow anything on this channel";
            self.fail_channel(&channel, ErrorInfo::not_capable(told));
        }
        Next::Continue
    }

    pub(super) fn fail_channel(&self, channel: &str, error: ErrorInfo) {
        let error = Some(error);
        self.say(&Outgoing { action: action::ERROR, channel: Some(channel), error, ..Outgoing::default() });
    }
}

/// What an attachment may have by a capability.
pub fn granted(ops: Ops) -> Grant {
    Grant { modes: ops.modes(), occupancy: ops.contains(Ops::CHANNEL_METADATA) }
}

fn without_serial() -> Next {
    Next::Fail(ErrorInfo::malformed("a frame that is to be acknowledged needs a msgSerial"))
}

/// The clients that a frame's items would make members, or keep so; a client of `None` is that of the connection.
fn entries<'a>(items: impl Iterator<Item = &'a IncomingPresence>) -> impl Iterator<Item = Option<&'a str>> {
    items.filter(|item| matches!(item.action, ENTER | UPDATE)).map(|item| item.client_id.as_deref())
}

fn messages(messages: Vec<IncomingMessage>) -> Result<Vec<NewMessage>, Refusal> {
    let message = |message: IncomingMessage| {
        if message.action.unwrap_or(0) != 0 {
            return Err(Refusal::Malformed("messages can be created; nothing else is served here yet".into()));
        }
        let IncomingMessage { client_id, name, data, encoding, extras, .. } = message;
        let is_ephemeral = extras.as_ref().is_some_and(|extras| extras.is_ephemeral);
        Ok(NewMessage { client_id, name, payload: payload(data, encoding, extras), is_ephemeral })
    };
    messages.into_iter().map(message).collect()
}

fn presence(items: Vec<IncomingPresence>) -> Result<Vec<NewPresence>, Refusal> {
    let item = |item: IncomingPresence| {
        let action = match item.action {
            ENTER => PresenceAction::Enter,
            LEAVE => PresenceAction::Leave,
            UPDATE => PresenceAction::Update,
            _ => return Err(Refusal::Malformed("a client enters (2), leaves (3) or updates (4)".into())),
        };
        let IncomingPresence { id, client_id, data, encoding, extras, .. } = item;
        Ok(NewPresence { id, client_id, action, payload: payload(data, encoding, extras) })
    };
    items.into_iter().map(item).collect()
}

fn payload(data: Option<WireData>, encoding: Option<String>, extras: Option<WireExtras>) -> Payload {
    let (data, extras) = (data.map(|data| data.0), extras.map(|extras| extras.raw));
    Payload { data, encoding: encoding.map(String::into_boxed_str), extras, claim: None }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
