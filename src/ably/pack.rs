//! Reading MessagePack from a slice. Unlike rmp-serde's reader, this one gives the bytes of a value, takes `undefined` for
//! null (ably-chat.md, section 1.3), and passes over what nobody asks for without recursion.

use std::str;

use rmp::Marker;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::codec::NotAFrame;

/// The name of a newtype that is read as the bytes of a value.
pub const SPAN: &str = "roomkeeper::Span";
/// Deeper nesting than any client makes; bounds the stack.
const DEPTH: u8 = 64;
/// The type of the extension that JavaScript's clients write for `undefined`.
const UNDEFINED: i8 = 0;

/// Reads one value after the other.
#[derive(Debug)]
pub struct Reader<'de> {
    rest: &'de [u8],
    depth: u8,
}

/// A value, or how many follow that are in it.
enum Head<'de> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'de [u8]),
    Binary(&'de [u8]),
    Array(u32),
    Map(u32),
    Extension,
}

impl<'de> Reader<'de> {
    /// A reader of all of it.
    pub fn new(bytes: &'de [u8]) -> Self {
        Self { rest: bytes, depth: DEPTH }
    }

    /// The header of a map: how many members follow, and their bytes.
    ///
    /// # Errors
    /// The value is no map.
    pub fn map(mut self) -> Result<(u32, &'de [u8]), NotAFrame> {
        match self.head()? {
            Head::Map(members) => Ok((members, self.rest)),
            _ => Err(NotAFrame::custom("a map is expected")),
        }
    }

    /// Passes over a value.
    fn skip(&mut self) -> Result<(), NotAFrame> {
        let mut left = 1_u64;
        while left > 0 {
            left -= 1;
            match self.head()? {
                Head::Array(items) => left += u64::from(items),
                Head::Map(members) => left += 2 * u64::from(members),
                _ => {}
            }
        }
        Ok(())
    }

    fn head(&mut self) -> Result<Head<'de>, NotAFrame> {
        let [marker] = self.bytes()?;
        Ok(match Marker::from_u8(marker) {
            Marker::Null => Head::Null,
            Marker::True => Head::Bool(true),
            Marker::False => Head::Bool(false),
            Marker::FixPos(number) => Head::Unsigned(number.into()),
            Marker::FixNeg(number) => Head::Signed(number.into()),
            Marker::U8 => Head::Unsigned(u8::from_be_bytes(self.bytes()?).into()),
            Marker::U16 => Head::Unsigned(u16::from_be_bytes(self.bytes()?).into()),
            Marker::U32 => Head::Unsigned(u32::from_be_bytes(self.bytes()?).into()),
            Marker::U64 => Head::Unsigned(u64::from_be_bytes(self.bytes()?)),
            Marker::I8 => Head::Signed(i8::from_be_bytes(self.bytes()?).into()),
            Marker::I16 => Head::Signed(i16::from_be_bytes(self.bytes()?).into()),
            Marker::I32 => Head::Signed(i32::from_be_bytes(self.bytes()?).into()),
            Marker::I64 => Head::Signed(i64::from_be_bytes(self.bytes()?)),
            Marker::F32 => Head::Float(f32::from_be_bytes(self.bytes()?).into()),
            Marker::F64 => Head::Float(f64::from_be_bytes(self.bytes()?)),
            Marker::FixStr(len) => Head::Text(self.take(len.into())?),
            Marker::Str8 => Head::Text(self.sized::<1>()?),
            Marker::Str16 => Head::Text(self.sized::<2>()?),
            Marker::Str32 => Head::Text(self.sized::<4>()?),
            Marker::Bin8 => Head::Binary(self.sized::<1>()?),
            Marker::Bin16 => Head::Binary(self.sized::<2>()?),
            Marker::Bin32 => Head::Binary(self.sized::<4>()?),
            Marker::FixArray(len) => Head::Array(len.into()),
            Marker::Array16 => Head::Array(self.len::<2>()?),
            Marker::Array32 => Head::Array(self.len::<4>()?),
            Marker::FixMap(len) => Head::Map(len.into()),
            Marker::Map16 => Head::Map(self.len::<2>()?),
            Marker::Map32 => Head::Map(self.len::<4>()?),
            Marker::FixExt1 => self.extension(1)?,
            Marker::FixExt2 => self.extension(2)?,
            Marker::FixExt4 => self.extension(4)?,
            Marker::FixExt8 => self.extension(8)?,
            Marker::FixExt16 => self.extension(16)?,
            Marker::Ext8 => self.sized_extension::<1>()?,
            Marker::Ext16 => self.sized_extension::<2>()?,
            Marker::Ext32 => self.sized_extension::<4>()?,
            Marker::Reserved => return Err(NotAFrame::custom("the byte 0xc1 is no value")),
        })
    }

    fn sized_extension<const N: usize>(&mut self) -> Result<Head<'de>, NotAFrame> {
        let len = self.len::<N>()?;
        self.extension(len)
    }

    fn extension(&mut self, len: u32) -> Result<Head<'de>, NotAFrame> {
        let kind = i8::from_be_bytes(self.bytes()?);
        self.take(len)?;
        Ok(if kind == UNDEFINED { Head::Null } else { Head::Extension })
    }

    fn sized<const N: usize>(&mut self) -> Result<&'de [u8], NotAFrame> {
        let len = self.len::<N>()?;
        self.take(len)
    }

    /// A length of `N` bytes.
    fn len<const N: usize>(&mut self) -> Result<u32, NotAFrame> {
        let bytes: [u8; N] = self.bytes()?;
        Ok(bytes.into_iter().fold(0, |len, byte| len << 8 | u32::from(byte)))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], NotAFrame> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(NotAFrame::cut_off)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn take(&mut self, len: u32) -> Result<&'de [u8], NotAFrame> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or_else(NotAFrame::cut_off)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads what is in a value, all of it.
    fn inside<T>(
        &mut self,
        left: u32,
        read: impl FnOnce(&mut Inside<'_, 'de>) -> Result<T, NotAFrame>,
    ) -> Result<T, NotAFrame> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| NotAFrame::custom("values are nested too deep"))?;
        let mut inside = Inside { reader: self, left };
        let value = read(&mut inside)?;
        let left = inside.left;
        self.depth += 1;
        if left > 0 { Err(NotAFrame::custom("there are more values than expected")) } else { Ok(value) }
    }
}

/// What is left of an array or a map.
struct Inside<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: u32,
}

impl<'de> SeqAccess<'de> for &mut Inside<'_, 'de> {
    type Error = NotAFrame;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, NotAFrame> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.left).ok()
    }
}

impl<'de> MapAccess<'de> for &mut Inside<'_, 'de> {
    type Error = NotAFrame;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, NotAFrame> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NotAFrame> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.left).ok()
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = NotAFrame;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotAFrame> {
        match self.head()? {
            Head::Null => visitor.visit_unit(),
            Head::Bool(value) => visitor.visit_bool(value),
            Head::Unsigned(number) => visitor.visit_u64(number),
            Head::Signed(number) => visitor.visit_i64(number),
            Head::Float(number) => visitor.visit_f64(number),
            Head::Text(text) => visitor.visit_borrowed_str(text_of(text)?),
            Head::Binary(bytes) => visitor.visit_borrowed_bytes(bytes),
            Head::Array(items) => self.inside(items, |inside| visitor.visit_seq(inside)),
            Head::Map(members) => self.inside(members, |inside| visitor.visit_map(inside)),
            Head::Extension => Err(NotAFrame::custom("extensions other than 0, for undefined, are not taken")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotAFrame> {
        let before = self.rest;
        if let Head::Null = self.head()? {
            return visitor.visit_none();
        }
        self.rest = before;
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotAFrame> {
        if name != SPAN {
            return visitor.visit_newtype_struct(self);
        }
        let before = self.rest;
        self.skip()?;
        visitor.visit_borrowed_bytes(&before[..before.len() - self.rest.len()])
    }

    /// The names of members are text.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotAFrame> {
        match self.head()? {
            Head::Text(text) => visitor.visit_borrowed_str(text_of(text)?),
            _ => Err(NotAFrame::custom("the name of a member is a text")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotAFrame> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, NotAFrame> {
    str::from_utf8(bytes).map_err(|_| NotAFrame::custom("a text is not UTF-8"))
}
