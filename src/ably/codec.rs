//! Bytes to frames and back, in both formats (ably-chat.md, section 1.3).

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{Head, Incoming, action};
use super::pack::Reader;

/// How a client wants frames and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Json,
    MessagePack,
}

/// The bytes are no frame.
#[derive(Debug, thiserror::Error)]
#[error("not a frame: {0}")]
pub struct NotAFrame(String);

impl NotAFrame {
    /// Something is missing at the end.
    pub fn cut_off() -> Self {
        Self("it ends too early".to_owned())
    }
}

impl serde::de::Error for NotAFrame {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

impl Format {
    /// Its place among the rendered forms of an event.
    pub fn index(self) -> usize {
        usize::from(self.form())
    }

    /// Its number, by which `realtime` tells formats apart.
    pub fn form(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::MessagePack => 1,
        }
    }

    /// The format of that number.
    pub fn of(form: u8) -> Self {
        if form == Self::Json.form() { Self::Json } else { Self::MessagePack }
    }

    /// Reads a client's frame.
    pub fn decode(self, bytes: &[u8]) -> Result<Incoming, NotAFrame> {
        self.read(bytes)
    }

    /// Reads any value; `None` if the bytes are none.
    pub fn decode_value(self, bytes: &[u8]) -> Option<serde_json::Value> {
        self.read(bytes).ok()
    }

    /// The number of a frame that can't be read, if so much of it can, and it is one that is answered.
    pub fn serial_of(self, bytes: &[u8]) -> Option<u64> {
        let head = self.read::<Head>(bytes).ok()?;
        head.msg_serial.filter(|_| [action::MESSAGE, action::PRESENCE].contains(&head.action))
    }

    fn read<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, NotAFrame> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|e| NotAFrame(e.to_string())),
            Self::MessagePack => T::deserialize(&mut Reader::new(bytes)),
        }
    }

    /// Writes what goes out. What we write can be written: nothing comes of a failure but a line in the log.
    pub fn encode(self, out: &impl Serialize) -> Bytes {
        let written = match self {
            Self::Json => serde_json::to_vec(out).map_err(|e| e.to_string()),
            Self::MessagePack => rmp_serde::to_vec_named(out).map_err(|e| e.to_string()),
        };
        written.map_or_else(
            |error| {
                tracing::error!(error, "a frame can't be written");
                Bytes::new()
            },
            Bytes::from,
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::ably::content::WireData;
    use crate::realtime::Data;

    #[test]
    fn both_formats_read_the_same_frame() {
        let frame = json!({
            "action": 15, "channel": "lobby::$chat", "msgSerial": 0, "unknown": { "x": [1, null] },
            "messages": [{ "name": "typing.started", "extras": { "ephemeral": true }, "action": 0, "size": 32 }],
        });
        let decode = |format: Format, bytes: &[u8]| {
            let mut frame = format.decode(bytes).expect("a frame");
            // These are kept as they came.
            let extras = frame.messages.as_mut().and_then(|messages| messages[0].extras.take());
            (frame, extras.expect("extras").is_ephemeral)
        };
        let json = decode(Format::Json, frame.to_string().as_bytes());
        let packed = rmp_serde::to_vec_named(&frame).expect("bytes");

        assert_eq!(decode(Format::MessagePack, &packed), json);
        let (json, is_ephemeral) = json;
        assert!(is_ephemeral);
        assert_eq!(json.msg_serial, Some(0));
    }

    #[test]
    fn binary_data_stays_binary() {
        // {"action": 15, "messages": [{"data": <3 bytes>}]}
        let packed = [
            &[0x82, 0xa6][..],
            b"action",
            &[0x0f, 0xa8],
            b"messages",
            &[0x91, 0x81, 0xa4],
            b"data",
            &[0xc4, 0x03, 1, 2, 3],
        ]
        .concat();
        let frame = Format::MessagePack.decode(&packed).expect("a frame");

        let data = &frame.messages.expect("messages")[0].data;
        assert_eq!(data, &Some(WireData(Data::Binary([1, 2, 3].into()))));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let packed = [vec![0x81, 0xa6], b"params".to_vec(), vec![0x91; 100_000]].concat();
        assert!(Format::MessagePack.decode(&packed).is_err());
        let json = format!("{{\"params\":{}", "[".repeat(100_000));
        assert!(Format::Json.decode(json.as_bytes()).is_err());
    }

    #[test]
    fn a_promise_of_much_takes_no_memory() {
        // An array of 2^32 - 1 messages, of which none follows.
        let packed = [&[0x81, 0xa8][..], b"messages", &[0xdd, 0xff, 0xff, 0xff, 0xff]].concat();
        assert!(Format::MessagePack.decode(&packed).is_err());
    }

    #[test]
    fn a_frame_of_many_tiny_items_is_given_up_early_and_its_number_still_known() {
        // {"action": 15, "msgSerial": 7, "messages": [{}, {}, …]}
        let head = [&[0x83, 0xa6][..], b"action", &[0x0f, 0xa9], b"msgSerial", &[0x07, 0xa8], b"messages"].concat();
        let packed = [head, vec![0xdd, 0, 7, 0xa1, 0x20], vec![0x80; 500_000]].concat();

        assert!(Format::MessagePack.decode(&packed).is_err());
        assert_eq!(Format::MessagePack.serial_of(&packed), Some(7));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Format::MessagePack.decode(&bytes);
            let _ = Format::Json.decode(&bytes);
        }

        #[test]
        fn no_text_that_looks_like_a_frame_makes_it_panic(
            text in r#"\{"(action|flags|msgSerial|messages|presence|params)":(-?[0-9]{0,20}|\[\{"data":.{0,20}\}\]|"x"|null)\}"#
        ) {
            let _ = Format::Json.decode(text.as_bytes());
        }
    }
}
