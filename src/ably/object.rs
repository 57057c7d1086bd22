//! Objects written member by member, in either format: values that came in that format are copied.

use super::codec::Format;

/// An object that is being written. It has at most 15 members.
pub struct Object<'a> {
    pub format: Format,
    out: &'a mut Vec<u8>,
    /// Where its first byte is.
    start: usize,
    members: u8,
}

/// The first byte of an empty map in MessagePack; the number of its members is added.
const MAP: u8 = 0x80;

impl<'a> Object<'a> {
    /// Begins one behind what is written.
    pub fn begin(format: Format, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.push(if format == Format::Json { b'{' } else { MAP });
        Self { format, out, start, members: 0 }
    }

    /// A member that is text.
    pub fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        // Here and below: writing to memory does not fail.
        match self.format {
            Format::Json => drop(serde_json::to_writer(&mut *self.out, text)),
            Format::MessagePack => drop(rmp::encode::write_str(self.out, text)),
        }
    }

    /// The same, if there is one.
    pub fn some_text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// A member that is a number.
    pub fn number(&mut self, name: &'static str, number: i64) {
        self.name(name);
        match self.format {
            Format::Json => drop(serde_json::to_writer(&mut *self.out, &number)),
            Format::MessagePack => drop(rmp::encode::write_sint(self.out, number)),
        }
    }

    /// A member that is bytes; in MessagePack only, JSON has none.
    pub fn binary(&mut self, name: &'static str, bytes: &[u8]) {
        self.name(name);
        drop(rmp::encode::write_bin(self.out, bytes));
    }

    /// A member that is written already, in this format.
    pub fn raw(&mut self, name: &'static str, bytes: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(bytes);
    }

    /// A member that is an object.
    pub fn object(&mut self, name: &'static str, write: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        Self::nested(self.format, self.out, write);
    }

    /// A member that is a list of objects.
    pub fn list<T>(&mut self, name: &'static str, items: &[T], mut write: impl FnMut(&mut Object<'_>, &T)) {
        self.name(name);
        Self::items(self.format, self.out, items, &mut write);
    }

    /// A list of objects.
    pub fn items<T>(format: Format, out: &mut Vec<u8>, items: &[T], write: &mut impl FnMut(&mut Object<'_>, &T)) {
        match format {
            Format::Json => out.push(b'['),
            Format::MessagePack => {
                drop(rmp::encode::write_array_len(out, u32::try_from(items.len()).unwrap_or(u32::MAX)));
            }
        }
        for (index, item) in items.iter().enumerate() {
            if format == Format::Json && index > 0 {
                out.push(b',');
            }
            Self::nested(format, out, |object| write(object, item));
        }
        if format == Format::Json {
            out.push(b']');
        }
    }

    /// Ends it.
    pub fn end(self) {
        match self.format {
            Format::Json => self.out.push(b'}'),
            Format::MessagePack => self.out[self.start] = MAP | self.members,
        }
    }

    fn nested(format: Format, out: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>)) {
        let mut object = Object::begin(format, out);
        write(&mut object);
        object.end();
    }

    fn name(&mut self, name: &'static str) {
        debug_assert!(self.members < 15);
        match self.format {
            Format::Json => {
                if self.members > 0 {
                    self.out.push(b',');
                }
                self.out.push(b'"');
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Format::MessagePack => drop(rmp::encode::write_str(self.out, name)),
        }
        self.members += 1;
    }
}
