//! The `extras` of a message: they may mark it ephemeral, and must not hold the service's own claims.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Checked, Span, raw};
use crate::ably::codec::{Format, NotAFrame};
use crate::realtime::Raw;

/// The member of `extras` that holds the client's claims (ably-chat.md, section 4.9). Only the service sets it.
pub const CLAIM: &str = "userClaim";

/// The name of a member, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Ephemeral,
    Claim,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(match name {
                    "ephemeral" => Name::Ephemeral,
                    CLAIM => Name::Claim,
                    _ => Name::Other,
                })
            }
        }

        deserializer.deserialize_identifier(NameVisitor)
    }
}

/// The `extras` of a message: an object, in the bytes that it came in, without the service's own claims.
#[derive(Debug, PartialEq)]
pub struct WireExtras {
    pub raw: Raw,
    pub is_ephemeral: bool,
}

impl<'de> Deserialize<'de> for WireExtras {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let span = Span::deserialize(deserializer)?;
        let found = span.visited(Extras);
        let (is_ephemeral, has_claim) = found.map_err(D::Error::custom)?;
        let raw = if has_claim { without_claim(span).map_err(D::Error::custom)? } else { span.kept() };
        Ok(Self { raw, is_ephemeral })
    }
}

/// Looks through extras: whether they say `ephemeral`, and whether they say what they must not.
struct Extras;

impl<'de> Visitor<'de> for Extras {
    type Value = (bool, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(bool, bool), A::Error> {
        let (mut ephemeral, mut has_claim) = (None, false);
        while let Some(name) = members.next_key::<Name>()? {
            match name {
                // Receivers go by the one or by the other.
                Name::Ephemeral if ephemeral.is_some() => return Err(A::Error::duplicate_field("ephemeral")),
                Name::Ephemeral => ephemeral = Some(members.next_value::<IsTrue>()?.0),
                Name::Claim | Name::Other => {
                    has_claim |= name == Name::Claim;
                    members.next_value::<Checked>()?;
                }
            }
        }
        Ok((ephemeral.unwrap_or(false), has_claim))
    }
}

/// Whether a value is `true`.
struct IsTrue(bool);

impl<'de> Deserialize<'de> for IsTrue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let span = Span::deserialize(deserializer)?;
        span.read::<Checked>().map_err(D::Error::custom)?;
        Ok(Self(span.read::<bool>().unwrap_or(false)))
    }
}

fn without_claim(extras: Span<'_>) -> Result<Raw, NotAFrame> {
    let format = extras.format;
    let (members, kept) = extras.visited(Others(format))?;
    let mut bytes = Vec::with_capacity(members.len() + 5);
    match format {
        Format::Json => bytes.extend([b"{", &*members, b"}"].concat()),
        Format::MessagePack => {
            rmp::encode::write_map_len(&mut bytes, kept).map_err(NotAFrame::custom)?;
            bytes.extend(members);
        }
    }
    Ok(raw(format, &bytes))
}

/// Copies the members of an object that are no claim; gives how many that are.
struct Others(Format);

impl<'de> Visitor<'de> for Others {
    type Value = (Vec<u8>, u32);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut bytes, mut kept) = (Vec::new(), 0);
        while let Some((name, value)) = members.next_entry::<Span<'de>, Span<'de>>()? {
            if name.read::<Name>().map_err(A::Error::custom)? == Name::Claim {
                continue;
            }
            let (before, between): (&[u8], &[u8]) = match self.0 {
                Format::Json if kept > 0 => (b",", b":"),
                Format::Json => (b"", b":"),
                Format::MessagePack => (b"", b""),
            };
            for part in [before, name.bytes, between, value.bytes] {
                bytes.extend_from_slice(part);
            }
            kept += 1;
        }
        Ok((bytes, kept))
    }
}
