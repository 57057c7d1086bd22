//! What happened, as a frame (ably-chat.md, sections 3 and 4).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::codec::Format;
use super::error::ErrorInfo;
use super::frame::{Outgoing, action, flag, flags_of, presence_action};
use super::object::Object;
use super::transcode;
use crate::domain::occupancy::Occupancy;
use crate::realtime::{Attached, Data, Event, Heard, Message, Payload, PresenceAction, PresenceItem};

/// Bytes of a frame, about, with a short message.
const USUAL: usize = 512;

/// The frame for an event of a channel.
pub fn frame(heard: &Heard, format: Format) -> Bytes {
    let (told, channel) = (&heard.told, Some(&**heard.channel()));
    let timestamp = Some(told.at.timestamp_millis());
    let out = Outgoing { channel, timestamp, ..Outgoing::default() };
    match &told.event {
        Event::Attached(attached) => format.encode(&self::attached(attached, out)),
        Event::Ejected(refused) => {
            let error = Some(ErrorInfo::from(*refused));
            format.encode(&Outgoing { action: action::ERROR, error, ..out })
        }
        Event::Messages { from, id, serial, messages } => {
            let from = from.to_string();
            written(format, |out| {
                head(out, action::MESSAGE, Some(id), heard, serial.as_deref(), Some(&from));
                out.list("messages", messages, |out, message| write_message(out, message, &from, told.at));
            })
        }
        Event::Presence { from, id, serial, items } => written(format, |out| {
            let from = from.map(|from| from.to_string());
            head(out, action::PRESENCE, Some(id), heard, Some(serial), from.as_deref());
            out.list("presence", items, |out, item| write_presence(out, item, action_of(item)));
        }),
        Event::Sync { cursor, items } => written(format, |out| {
            head(out, action::SYNC, None, heard, Some(cursor), None);
            out.list("presence", items, |out, item| write_presence(out, item, presence_action::PRESENT));
        }),
        Event::Occupancy { id, now } => written(format, |out| {
            head(out, action::MESSAGE, Some(id), heard, None, None);
            out.list("messages", &[metrics(now)], |out, metrics| {
                out.number("action", message_action::META);
                out.text("name", "[meta]occupancy");
                out.text("data", &json!({ "metrics": metrics }).to_string());
                out.text("encoding", "json");
            });
        }),
    }
}

/// A room's counts as `[meta]occupancy` and the channel's status have them.
pub fn metrics(now: &Occupancy) -> serde_json::Value {
    json!({
        "connections": now.connections,
        "publishers": now.publishers,
        "subscribers": now.subscribers,
        "presenceConnections": now.presence_connections,
        "presenceMembers": now.presence_members,
        "presenceSubscribers": now.presence_subscribers,
        "objectPublishers": 0,
        "objectSubscribers": 0,
    })
}

/// Members, as REST has them: a list, in JSON.
pub fn members(members: &[Arc<PresenceItem>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut write =
        |out: &mut Object<'_>, item: &Arc<PresenceItem>| write_presence(out, item, presence_action::PRESENT);
    Object::items(Format::Json, &mut out, members, &mut write);
    out
}

fn action_of(item: &PresenceItem) -> u32 {
    match item.action {
        PresenceAction::Enter => presence_action::ENTER,
        PresenceAction::Leave => presence_action::LEAVE,
        PresenceAction::Update => presence_action::UPDATE,
    }
}

mod message_action {
    pub const CREATE: i64 = 0;
    pub const META: i64 = 3;
}

fn attached<'a>(attached: &'a Attached, out: Outgoing<'a>) -> Outgoing<'a> {
    let mut flags = flags_of(attached.modes);
    if attached.has_presence {
        flags |= flag::HAS_PRESENCE;
    }
    if attached.resumed {
        flags |= flag::RESUMED;
    }
    let lost = || ErrorInfo::new(90003, 404, "what happened since is not kept any more: continuity is lost");
    Outgoing {
        action: action::ATTACHED,
        channel_serial: Some(&attached.serial),
        flags: Some(flags),
        params: Some(attached.occupancy.then_some(("occupancy", "metrics")).into_iter().collect::<BTreeMap<_, _>>()),
        error: attached.continuity_lost.then(lost),
        ..out
    }
}

fn written(format: Format, write: impl FnOnce(&mut Object<'_>)) -> Bytes {
    let mut bytes = Vec::with_capacity(USUAL);
    let mut out = Object::begin(format, &mut bytes);
    write(&mut out);
    out.end();
    bytes.shrink_to_fit(); // it is kept for a while
    bytes.into()
}

fn head(
    out: &mut Object<'_>,
    action: u32,
    id: Option<&str>,
    heard: &Heard,
    serial: Option<&str>,
    connection: Option<&str>,
) {
    out.number("action", action.into());
    out.some_text("id", id);
    out.text("channel", heard.channel());
    out.some_text("channelSerial", serial);
    out.some_text("connectionId", connection);
    out.number("timestamp", heard.told.at.timestamp_millis());
}

fn write_message(out: &mut Object<'_>, message: &Message, connection: &str, at: DateTime<Utc>) {
    let timestamp = at.timestamp_millis();
    out.text("id", &message.id);
    out.number("action", message_action::CREATE);
    out.some_text("name", message.name.as_deref());
    out.some_text("clientId", message.client_id.as_deref());
    out.text("connectionId", connection);
    out.number("timestamp", timestamp);
    write_payload(out, &message.payload);
    if let Some(serial) = &message.serial {
        out.text("serial", serial);
        out.object("version", |out| {
            out.text("serial", serial);
            out.number("timestamp", timestamp);
        });
    }
}

fn write_presence(out: &mut Object<'_>, item: &PresenceItem, action: u32) {
    out.text("id", &item.id);
    out.number("action", action.into());
    out.text("clientId", &item.client_id);
    out.text("connectionId", &item.connection.to_string());
    out.number("timestamp", item.timestamp.timestamp_millis());
    write_payload(out, &item.payload);
}

/// JSON has no bytes: there they are base64, and the encoding says so.
fn write_payload(out: &mut Object<'_>, payload: &Payload) {
    let format = out.format;
    let mut encoding = payload.encoding.as_deref().map(Cow::Borrowed);
    match &payload.data {
        None => {}
        Some(Data::Text(text)) => out.text("data", text),
        Some(Data::Raw(raw)) => out.raw("data", &transcode::in_format(raw, format)),
        Some(Data::Binary(bytes)) if format == Format::MessagePack => out.binary("data", bytes),
        Some(Data::Binary(bytes)) => {
            out.text("data", &STANDARD.encode(bytes));
            encoding = Some(encoding.map_or("base64".into(), |so_far| format!("{so_far}/base64").into()));
        }
    }
    out.some_text("encoding", encoding.as_deref());
    let extras = payload.extras.as_ref().map(|raw| transcode::in_format(raw, format));
    match (extras, &payload.claim) {
        (extras, Some(claim)) => out.raw("extras", &transcode::with_claim(extras, claim, format)),
        (Some(extras), None) => out.raw("extras", &extras),
        (None, None) => {}
    }
}
