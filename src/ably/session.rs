//! What a client says over its socket, frame by frame (ably-chat.md, section 3).

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::auth::{self, Credential, Denied, Presented};
use super::capability::Ops;
use super::codec::Format;
use super::door::{self, Allowed};
use super::error::ErrorInfo;
use super::frame::{
    ConnectionDetails, Incoming, IncomingMessage, IncomingPresence, Outgoing, Published, action, modes_in,
};
use super::{MAX_FRAME, MAX_INBOUND_RATE};
use crate::auth::keys::LiveKeys;
use crate::http::State;
use crate::realtime::{
    Answer, Attach, Attaching, Grant, Hub, Identity, Modes, NewMessage, NewPresence, Payload, PresenceAction, Refusal,
    Session, Tell,
};

/// One client, over one socket.
pub struct Client {
    pub state: State,
    pub keys: LiveKeys,
    pub hub: Arc<Hub>,
    pub session: Session,
    pub credential: Credential,
    pub format: Format,
    /// The longest time without a frame from us.
    pub idle: Duration,
    /// Frames that the last one cost besides itself.
    pub debt: Cell<u32>,
}

/// What becomes of the socket after a frame.
pub enum Next {
    Goes,
    /// For good, at the client's wish.
    Close,
    /// The client may come back.
    Drop,
    /// For good, at ours.
    Fail(ErrorInfo),
    /// Ends now; the client comes back.
    Part(ErrorInfo),
}

/// What an attachment gets that asks for nothing in particular (section 3.5).
const USUAL_MODES: Modes = Modes::PRESENCE
    .union(Modes::PUBLISH)
    .union(Modes::SUBSCRIBE)
    .union(Modes::PRESENCE_SUBSCRIBE)
    .union(Modes::ANNOTATION_PUBLISH);
/// To be told of so many members costs as much as a frame.
const MEMBERS_A_FRAME: usize = 10;
/// How often it is read who may enter a room that is changed at the same time.
const ATTEMPTS: usize = 10;

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
            // On its own heap: it may ask the database, which takes more than all the rest of a socket.
            action::ATTACH => return Box::pin(self.attach(&frame)).await,
            action::DETACH => self.detach(&frame),
            action::MESSAGE | action::PRESENCE => return self.say_in_room(frame),
            // On its own heap, as it is rare and large: each socket would keep room for it.
            action::AUTH => return Box::pin(self.renew(frame)).await,
            other => {
                // What is not served yet is refused where a client waits for it, and else let be.
                if let Some(serial) = frame.msg_serial {
                    let told = format!("action {other} is not served");
                    self.answer(serial, Err(Refusal::Malformed(told.into())));
                }
            }
        }
        Next::Goes
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
            max_inbound_rate: MAX_INBOUND_RATE.get(),
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

    async fn attach(&self, frame: &Incoming) -> Next {
        let channel = frame.channel.as_deref().unwrap_or("");
        match self.try_attach(channel, frame).await {
            Ok(()) => Next::Goes,
            Err(Denied::Refused(error)) => {
                self.session.detach(channel); // it may have been there with more
                self.fail_channel(channel, error);
                Next::Goes
            }
            // An answer is due in 10 s, and a channel that fails does not try again by itself: a connection does.
            Err(Denied::Unavailable) => Next::Part(ErrorInfo::unavailable()),
        }
    }

    async fn try_attach(&self, channel: &str, frame: &Incoming) -> Result<(), Denied> {
        let wanted = modes_in(frame.flags.unwrap_or(0));
        let wanted = if wanted.is_empty() { USUAL_MODES } else { wanted };
        let user = match self.session.identity() {
            Identity::Client(id) => Some(Arc::clone(id)),
            Identity::Anonymous | Identity::Anyone => None,
        };
        let param = |name: &str| frame.params.as_ref().and_then(|params| params.get(name)).and_then(Value::as_str);
        let wants_occupancy = param("occupancy").is_some_and(|p| p == "metrics" || p.starts_with("metrics."));
        let since = frame.channel_serial.as_deref().filter(|since| !since.is_empty());
        let mut found = None;
        for _ in 0..ATTEMPTS {
            let allowed = door::allowed(&self.state, &self.credential, user.clone(), channel).await?;
            let asked = wanted & allowed.asked.modes();
            let modes = asked & allowed.grant.modes;
            if modes.is_empty() {
                let told = "the credential, or the role, allows nothing of what was asked for on this channel";
                return Err(Denied::Refused(ErrorInfo::not_capable(told)));
            }
            let occupancy = wants_occupancy && allowed.grant.occupancy && allowed.asked.contains(Ops::CHANNEL_METADATA);
            let Allowed { who, place, entry, .. } = &allowed;
            let attach = Attach { channel, place, modes, asked, occupancy, since, who, entry, found };
            match self.session.attach(attach).map_err(|refusal| Denied::Refused(refusal.into()))? {
                Attaching::Done(members) => {
                    self.debt.set(u32::try_from(members / MEMBERS_A_FRAME).unwrap_or(u32::MAX));
                    return Ok(());
                }
                Attaching::Overtaken => {}
                Attaching::Belongs(room) => found = Some(room),
            }
        }
        Err(Denied::Unavailable)
    }

    fn detach(&self, frame: &Incoming) {
        let channel = frame.channel.as_deref().unwrap_or("");
        self.session.detach(channel);
        self.say(&Outgoing { action: action::DETACHED, channel: Some(channel), ..Outgoing::default() });
    }

    fn say_in_room(&self, frame: Incoming) -> Next {
        let Some(serial) = frame.msg_serial else {
            return Next::Fail(ErrorInfo::malformed("a frame that is to be acknowledged needs a msgSerial"));
        };
        let channel = frame.channel.as_deref().unwrap_or("");
        let claim = self.credential.claim(channel);
        let answer = match frame.action {
            action::MESSAGE => messages(frame.messages.unwrap_or_default())
                .and_then(|messages| self.session.publish(serial, channel, messages, claim)),
            _ => presence(frame.presence.unwrap_or_default())
                .and_then(|items| self.session.presence(serial, channel, items, claim)),
        };
        self.answer(serial, answer);
        Next::Goes
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
            Err(Denied::Unavailable) => return Next::Part(ErrorInfo::unavailable()),
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
        self.credential = credential;
        self.session.holds_token_of(self.credential.issued_at);
        self.tell_connected(None);
        let lost = self.session.regrant(|channel| granted(self.credential.on(channel)));
        for channel in lost {
            let told = "the new token does not allow anything on this channel";
            self.fail_channel(&channel, ErrorInfo::not_capable(told));
        }
        Next::Goes
    }

    fn fail_channel(&self, channel: &str, error: ErrorInfo) {
        let error = Some(error);
        self.say(&Outgoing { action: action::ERROR, channel: Some(channel), error, ..Outgoing::default() });
    }
}

/// What an attachment may have by a capability.
pub fn granted(ops: Ops) -> Grant {
    Grant { modes: ops.modes(), occupancy: ops.contains(Ops::CHANNEL_METADATA) }
}

fn messages(messages: Vec<IncomingMessage>) -> Result<Vec<NewMessage>, Refusal> {
    let message = |message: IncomingMessage| {
        if message.action.unwrap_or(0) != 0 {
            return Err(Refusal::Malformed("messages can be created; nothing else is served here yet".into()));
        }
        let IncomingMessage { client_id, name, data, encoding, extras, .. } = message;
        Ok(NewMessage { client_id, name, payload: Payload { data: data.map(|data| data.0), encoding, extras } })
    };
    messages.into_iter().map(message).collect()
}

fn presence(items: Vec<IncomingPresence>) -> Result<Vec<NewPresence>, Refusal> {
    let item = |item: IncomingPresence| {
        let action = match item.action {
            2 => PresenceAction::Enter,
            3 => PresenceAction::Leave,
            4 => PresenceAction::Update,
            _ => return Err(Refusal::Malformed("a client enters (2), leaves (3) or updates (4)".into())),
        };
        let IncomingPresence { id, client_id, data, encoding, extras, .. } = item;
        let payload = Payload { data: data.map(|data| data.0), encoding, extras };
        Ok(NewPresence { id, client_id, action, payload })
    };
    items.into_iter().map(item).collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
