//! JSON bodies: what is read, and how a client is told what is wrong with one (acs-rooms.md, sections 2 and 7).

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::{ApiError, Detail};

/// What a body is.
pub const JSON: &str = "application/json";
/// What the body of a patch may be, for people.
pub const JSON_TO_PATCH: &str = "application/merge-patch+json or application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// Editors and shells of Windows write it before UTF-8; RFC 8259, section 8.1, lets a reader ignore it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a body of JSON. None at all is an empty object, whatever its type.
///
/// # Errors
/// 415 for another media type, 400 with the member that is wrong.
pub fn read<T: DeserializeOwned>(req: &HttpRequest, body: &[u8]) -> Result<T, ApiError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let body = if body.is_empty() {
        b"{}"
    } else {
        check_media_type(req)?;
        // Clients that were generated for an optional body write what they do not have as null.
        if body == b"null" && req.method() != Method::PATCH { b"{}" } else { body }
    };
    parse(body).map_err(|detail| ApiError::Malformed(vec![detail]))
}

fn check_media_type(req: &HttpRequest) -> Result<(), ApiError> {
    let text = |name| req.headers().get(name).and_then(|value| value.to_str().ok());
    let essence = text(CONTENT_TYPE).and_then(|kind| kind.split(';').next()).unwrap_or("").trim();
    let is_patch = req.method() == Method::PATCH;
    let known = essence.eq_ignore_ascii_case(JSON) || (is_patch && essence.eq_ignore_ascii_case(MERGE_PATCH));
    let plain = text(CONTENT_ENCODING).is_none_or(|coding| coding.eq_ignore_ascii_case("identity"));
    if known && plain {
        return Ok(());
    }
    let expected = if is_patch { JSON_TO_PATCH } else { JSON };
    Err(ApiError::UnsupportedMediaType { expected })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Detail> {
    // The parser does not look at this in members that nobody reads.
    let text = std::str::from_utf8(body).map_err(|_| Detail::new("$", "The body is not UTF-8."))?;
    if let Ok(read) = serde_json::from_str(text) {
        return Ok(read);
    }
    // Once more, for the path to what is wrong.
    let mut json = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let path = e.path().to_string();
        Detail::new(if path == "." { "$".to_owned() } else { format!("$.{path}") }, e.inner().to_string())
    })?;
    json.end().map_err(|e| Detail::new("$", e.to_string()))?;
    Ok(read)
}

/// A number that is whole, however it is written: in JSON Schema, 60.0 is an integer.
pub fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else { return Ok(None) };
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
    let read = number.as_i64().or_else(|| number.as_f64().and_then(whole));
    read.map(Some).ok_or_else(|| D::Error::custom("a whole number is expected"))
}

/// The members of an object that nobody reads; every wire type flattens them into itself. So they
/// are looked at like the others, for depth and for numbers that can't be, and an array is not
/// taken for an object.
pub type Unread = HashMap<String, IgnoredAny>;

/// The members of an object in their order. A name that stands twice is refused: the last would
/// win silently, and in a roster it decides a role.
#[derive(Debug)]
pub struct Entries<V>(pub Vec<(String, V)>);

impl<V> Default for Entries<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
            type Value = Entries<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<V>, A::Error> {
                let mut entries: Vec<(String, V)> = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                if has_twins(entries.iter().map(|(name, _)| name)) {
                    return Err(A::Error::custom("a member stands here twice"));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

fn has_twins<T: Hash + Eq>(names: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    !names.into_iter().all(|name| seen.insert(name))
}
