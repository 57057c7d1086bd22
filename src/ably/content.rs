//! The data of messages and presence, kept as the bytes that the client sent. They are checked in one pass that builds
//! no tree of values: a tree of many tiny values would take a hundred times the memory of its bytes.

mod extras;

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::codec::{Format, NotAFrame};
use super::pack::{self, Reader};
use crate::realtime::{Data, Raw};
use extras::Name;
pub use extras::{CLAIM, WireExtras};

/// The bytes of a value in a frame.
#[derive(Debug, Clone, Copy)]
pub struct Span<'de> {
    format: Format,
    bytes: &'de [u8],
}

impl<'de> Span<'de> {
    /// The value, if it is one of that type.
    ///
    /// # Errors
    /// It is not.
    pub fn read<T: Deserialize<'de>>(self) -> Result<T, NotAFrame> {
        match self.format {
            Format::Json => serde_json::from_slice(self.bytes).map_err(NotAFrame::custom),
            Format::MessagePack => T::deserialize(&mut Reader::new(self.bytes)),
        }
    }

    fn visited<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotAFrame> {
        match self.format {
            Format::Json => {
                let mut reader = serde_json::Deserializer::from_slice(self.bytes);
                reader.deserialize_any(visitor).map_err(NotAFrame::custom)
            }
            Format::MessagePack => Reader::new(self.bytes).deserialize_any(visitor),
        }
    }

    fn kept(self) -> Raw {
        raw(self.format, self.bytes)
    }
}

fn raw(format: Format, bytes: &[u8]) -> Raw {
    Raw { form: format.form(), bytes: bytes.into() }
}

impl<'de> Deserialize<'de> for Span<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Packed;

        impl<'de> Visitor<'de> for Packed {
            type Value = Span<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Span<'de>, E> {
                Ok(Span { format: Format::MessagePack, bytes })
            }
        }

        if deserializer.is_human_readable() {
            let value = <&RawValue>::deserialize(deserializer)?;
            Ok(Self { format: Format::Json, bytes: value.get().as_bytes() })
        } else {
            deserializer.deserialize_newtype_struct(pack::SPAN, Packed)
        }
    }
}

/// Data as it came.
#[derive(Debug, PartialEq)]
pub struct WireData(pub Data);

impl<'de> Deserialize<'de> for WireData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let span = Span::deserialize(deserializer)?;
        let found = span.visited(DataVisitor);
        let data = found.map_err(D::Error::custom)?;
        Ok(Self(data.unwrap_or_else(|| Data::Raw(span.kept()))))
    }
}

/// Takes text and bytes, and looks through all else.
struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Option<Data>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("data")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<Data>, E> {
        Ok(Some(Data::Text(text.into())))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Option<Data>, E> {
        Ok(Some(Data::Binary(bytes.into())))
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Data>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<Data>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<Data>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<Data>, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<Data>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Option<Data>, A::Error> {
        Checker.visit_seq(items).map(|Checked| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Option<Data>, A::Error> {
        Checker.visit_map(members).map(|Checked| None)
    }
}

/// A value that both formats have, not nested too deep.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Checker)
    }
}

struct Checker;

impl<'de> Visitor<'de> for Checker {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_unit<E: Error>(self) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
        while items.next_element::<Checked>()?.is_some() {}
        Ok(Checked)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Checked, A::Error> {
        while members.next_key::<Name>()?.is_some() {
            members.next_value::<Checked>()?;
        }
        Ok(Checked)
    }
}

#[cfg(test)]
mod tests;
