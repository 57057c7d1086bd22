//! What happened, as a frame (ably-chat.md, sections 3 and 4).

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::codec::Format;
use super::error::ErrorInfo;
use super::frame::{
    Content, Outgoing, OutgoingData, OutgoingMessage, OutgoingPresence, Version, action, flag, flags_of,
    presence_action,
};
use crate::domain::occupancy::Occupancy;
use crate::realtime::{Attached, Data, Event, Heard, Message, Payload, PresenceAction, PresenceItem};

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
            let message = |message| message_of(message, &from.to_string(), told.at, format);
            format.encode(&Outgoing {
                action: action::MESSAGE,
                id: Some(id),
                channel_serial: serial.as_deref(),
                connection_id: Some(from.to_string()),
                messages: Some(messages.iter().map(message).collect()),
                ..out
            })
        }
        Event::Presence { from, id, serial, items } => format.encode(&Outgoing {
            action: action::PRESENCE,
            id: Some(id),
            channel_serial: Some(serial),
            connection_id: from.map(|from| from.to_string()),
            presence: Some(items.iter().map(|item| presence_of(item, format)).collect()),
            ..out
        }),
        Event::Sync { cursor, items } => format.encode(&Outgoing {
            action: action::SYNC,
            channel_serial: Some(cursor),
            presence: Some(items.iter().map(|item| presence_of(item, format)).collect()),
            ..out
        }),
        Event::Occupancy { id, now } => {
            let metrics = json!({ "metrics": metrics(now) }).to_string();
            let content =
                Content { data: Some(OutgoingData::Text(metrics.into())), encoding: Some("json".into()), extras: None };
            let name = Some("[meta]occupancy");
            let message = OutgoingMessage { action: message_action::META, name, content, ..OutgoingMessage::default() };
            format.encode(&Outgoing { action: action::MESSAGE, id: Some(id), messages: Some(vec![message]), ..out })
        }
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

/// A member, or what it did.
pub fn presence_of(item: &PresenceItem, format: Format) -> OutgoingPresence<'_> {
    let action = match item.action {
        PresenceAction::Present => presence_action::PRESENT,
        PresenceAction::Enter => presence_action::ENTER,
        PresenceAction::Leave => presence_action::LEAVE,
        PresenceAction::Update => presence_action::UPDATE,
    };
    OutgoingPresence {
        id: &item.id,
        action,
        client_id: &item.client_id,
        connection_id: item.connection.to_string(),
        timestamp: item.timestamp.timestamp_millis(),
        content: content_of(&item.payload, format),
    }
}

mod message_action {
    pub const CREATE: u32 = 0;
    pub const META: u32 = 3;
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

fn message_of<'a>(message: &'a Message, connection_id: &str, at: DateTime<Utc>, format: Format) -> OutgoingMessage<'a> {
    let timestamp = at.timestamp_millis();
    let serial = message.serial.as_deref();
    OutgoingMessage {
        id: Some(&message.id),
        action: message_action::CREATE,
        name: message.name.as_deref(),
        client_id: message.client_id.as_deref(),
        connection_id: Some(connection_id.to_owned()),
        timestamp: Some(timestamp),
        content: content_of(&message.payload, format),
        serial,
        version: serial.map(|serial| Version { serial, timestamp }),
    }
}

/// JSON has no bytes: there they are base64, and the encoding says so.
fn content_of(payload: &Payload, format: Format) -> Content<'_> {
    let mut encoding = payload.encoding.as_deref().map(Cow::Borrowed);
    let data = payload.data.as_ref().map(|data| match data {
        Data::Text(text) => OutgoingData::Text(Cow::Borrowed(text)),
        Data::Json(value) => OutgoingData::Json(value),
        Data::Binary(bytes) if format == Format::MessagePack => OutgoingData::Binary(bytes),
        Data::Binary(bytes) => {
            encoding = Some(encoding.take().map_or("base64".into(), |so_far| format!("{so_far}/base64").into()));
            OutgoingData::Text(STANDARD.encode(bytes).into())
        }
    });
    Content { data, encoding, extras: payload.extras.as_ref() }
}
