//! A JSON object that is part of a credential.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// The members by their names, each of which is there once.
///
/// Of two members of one name, RFC 7519 and RFC 7515 (section 4 of each) let a reader take the last, or refuse both. To
/// refuse is safer: whoever looked at the credential before may have taken the other.
#[derive(Debug)]
pub struct Members(BTreeMap<String, Value>);

impl Members {
    /// Reads JSON, if it is such an object.
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Reads a part of a token, which is JSON in base64url.
    pub fn in_part(part: &str) -> Option<Self> {
        Self::read(&URL_SAFE_NO_PAD.decode(part).ok()?)
    }

    /// Whether there is a member of that name, even null.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The member of that name, even null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl IntoIterator for Members {
    type Item = (String, Value);
    type IntoIter = std::collections::btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Once)
    }
}

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is there twice"));
            }
        }
        Ok(Members(members))
    }
}
