//! The data of a message or of a member, delivered in the bytes that it came in.

use std::sync::Arc;

/// A value as its client wrote it, in the protocol's `form`-th format. In an allocation of its own: a part of the frame
/// that it came in would keep the whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    pub form: u8,
    pub bytes: Arc<[u8]>,
}

/// The data of a message or of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    Text(Arc<str>),
    Binary(Arc<[u8]>),
    /// Any other value.
    Raw(Raw),
}

/// Data, how it is to be decoded, and what goes with it. A clone shares what can be large.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    pub data: Option<Data>,
    pub encoding: Option<Box<str>>,
    /// An object.
    pub extras: Option<Raw>,
    /// What the client's token says of it; goes out with `extras`.
    pub claim: Option<Arc<str>>,
}

/// The overhead of an allocation: the counts of an `Arc`, and the allocator's rounding.
pub const ALLOCATION: usize = 24;

impl Payload {
    /// Bytes, as they came.
    pub fn size(&self) -> usize {
        self.parts().into_iter().flatten().sum()
    }

    /// Bytes that it takes in memory, besides itself.
    pub fn memory(&self) -> usize {
        self.parts().into_iter().flatten().map(|bytes| bytes + ALLOCATION).sum()
    }

    fn parts(&self) -> [Option<usize>; 4] {
        let data = self.data.as_ref().map(|data| match data {
            Data::Text(text) => text.len(),
            Data::Binary(bytes) => bytes.len(),
            Data::Raw(raw) => raw.bytes.len(),
        });
        let extras = self.extras.as_ref().map(|raw| raw.bytes.len());
        let texts = [self.encoding.as_deref(), self.claim.as_deref()];
        let [encoding, claim] = texts.map(|text| text.map(str::len));
        [data, encoding, extras, claim]
    }
}
