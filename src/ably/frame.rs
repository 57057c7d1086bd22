//! Frames as they are on the wire (ably-chat.md, sections 3.2 and 3.3).

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::content::{Span, WireData, WireExtras};
use super::error::ErrorInfo;
use crate::realtime::Modes;

/// The actions of frames.
pub mod action {
    pub const HEARTBEAT: u32 = 0;
    pub const ACK: u32 = 1;
    pub const NACK: u32 = 2;
    pub const CONNECTED: u32 = 4;
    pub const DISCONNECT: u32 = 5;
    pub const DISCONNECTED: u32 = 6;
    pub const CLOSE: u32 = 7;
    pub const CLOSED: u32 = 8;
    pub const ERROR: u32 = 9;
    pub const ATTACH: u32 = 10;
    pub const ATTACHED: u32 = 11;
    pub const DETACH: u32 = 12;
    pub const DETACHED: u32 = 13;
    pub const PRESENCE: u32 = 14;
    pub const MESSAGE: u32 = 15;
    pub const SYNC: u32 = 16;
    pub const AUTH: u32 = 17;
}

/// The actions of presence items (ably-chat.md, section 4.3).
pub mod presence_action {
    pub const PRESENT: u32 = 1;
    pub const ENTER: u32 = 2;
    pub const LEAVE: u32 = 3;
    pub const UPDATE: u32 = 4;
}

/// Bits of `flags`.
pub mod flag {
    pub const HAS_PRESENCE: u64 = 1;
    pub const RESUMED: u64 = 4;
    /// Where the bits of the modes begin.
    pub const MODES: u32 = 16;
}

/// The modes that a client asks for, or is granted, as bits of `flags`.
pub fn modes_in(flags: u64) -> Modes {
    Modes::from_bits_truncate(u8::try_from((flags >> flag::MODES) & 0xff).unwrap_or(0))
}

/// The bits of `flags` for modes.
pub fn flags_of(modes: Modes) -> u64 {
    u64::from(modes.bits()) << flag::MODES
}

/// A frame from a client. Other members are ignored: the service sets ids and times.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Incoming {
    pub action: u32,
    pub id: Option<String>,
    pub channel: Option<String>,
    pub channel_serial: Option<String>,
    pub msg_serial: Option<u64>,
    pub flags: Option<u64>,
    pub params: Option<Params>,
    #[serde(deserialize_with = "few")]
    pub messages: Option<Vec<IncomingMessage>>,
    #[serde(deserialize_with = "few")]
    pub presence: Option<Vec<IncomingPresence>>,
    pub auth: Option<IncomingAuth>,
}

/// The parameters of an attach, besides its modes.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Params {
    #[serde(deserialize_with = "text")]
    pub occupancy: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IncomingMessage {
    pub action: Option<u32>,
    pub client_id: Option<String>,
    pub name: Option<String>,
    pub data: Option<WireData>,
    pub encoding: Option<String>,
    pub extras: Option<WireExtras>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IncomingPresence {
    pub id: Option<String>,
    pub action: u32,
    pub client_id: Option<String>,
    pub data: Option<WireData>,
    pub encoding: Option<String>,
    pub extras: Option<WireExtras>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IncomingAuth {
    pub access_token: Option<String>,
}

/// The members of an unreadable frame that an answer needs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Head {
    pub action: u32,
    pub msg_serial: Option<u64>,
}

/// The most items of a frame: more than any rate takes at once.
const ITEMS: usize = 1_000;

/// A list that is given up as soon as it is too long: items take more memory than their bytes.
fn few<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    struct Few<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Option<Vec<T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {ITEMS} items")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                if items.len() == ITEMS {
                    return Err(A::Error::invalid_length(ITEMS + 1, &self));
                }
                items.push(item);
            }
            Ok(Some(items))
        }
    }

    deserializer.deserialize_any(Few(PhantomData))
}

/// A text; any other value is as good as none.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Span::deserialize(deserializer).map(|span| span.read().ok())
}

/// A frame to a client, but for those with messages or members, which `render` writes; what is `None` is not written.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outgoing<'a> {
    pub action: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_serial: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_details: Option<ConnectionDetails<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg_serial: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub res: Option<[Published<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<BTreeMap<&'static str, &'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
}

/// What a client needs to know of its connection (section 3.4).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionDetails<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<&'a str>,
    pub connection_key: String,
    pub max_message_size: usize,
    pub max_frame_size: usize,
    pub max_inbound_rate: u32,
    pub server_id: &'a str,
    pub connection_state_ttl: u64,
    pub max_idle_interval: u64,
}

/// The serials of a frame's messages.
#[derive(Debug, Serialize)]
pub struct Published<'a> {
    pub serials: &'a [Option<String>],
}
