//! Values from one format to the other, written while they are read.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use super::codec::Format;
use super::content::CLAIM;
use super::pack::Reader;
use crate::realtime::Raw;

/// A value in `format`.
pub fn in_format(raw: &Raw, format: Format) -> Cow<'_, [u8]> {
    match (Format::of(raw.form), format) {
        (from, to) if from == to => Cow::Borrowed(&raw.bytes),
        (Format::Json, _) => {
            let mut json = serde_json::Deserializer::from_slice(&raw.bytes);
            Cow::Owned(format.encode(&Transcoded::new(&mut json)).into())
        }
        (Format::MessagePack, _) => Cow::Owned(format.encode(&Transcoded::new(&mut Reader::new(&raw.bytes))).into()),
    }
}

/// The object `extras` with what the service says of the client.
pub fn with_claim(extras: Option<Cow<'_, [u8]>>, claim: &str, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    match format {
        Format::Json => {
            let extras = extras.as_deref().unwrap_or(b"{}").trim_ascii_end();
            let members = extras.strip_suffix(b"}").unwrap_or(b"{").trim_ascii_end();
            out.extend_from_slice(members);
            if !members.ends_with(b"{") {
                out.push(b',');
            }
            out.extend_from_slice(&[b"\"", CLAIM.as_bytes(), b"\":"].concat());
            out.extend_from_slice(&format.encode(&claim));
            out.push(b'}');
        }
        Format::MessagePack => {
            let (len, members) = extras.as_deref().and_then(|map| Reader::new(map).map().ok()).unwrap_or((0, &[]));
            // Writing to memory does not fail.
            let _ = rmp::encode::write_map_len(&mut out, len.saturating_add(1));
            out.extend_from_slice(members);
            let _ = rmp::encode::write_str(&mut out, CLAIM);
            let _ = rmp::encode::write_str(&mut out, claim);
        }
    }
    out
}

/// JSON that is written already, as a part of what is still to be.
pub struct Json<'a>(pub &'a [u8]);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serde_json::from_slice::<&RawValue>(self.0).map_err(S::Error::custom)?.serialize(serializer)
        } else {
            Transcoded::new(&mut serde_json::Deserializer::from_slice(self.0)).serialize(serializer)
        }
    }
}

/// Is written as what a deserializer reads; once.
struct Transcoded<D>(Cell<Option<D>>);

impl<D> Transcoded<D> {
    fn new(deserializer: D) -> Self {
        Self(Cell::new(Some(deserializer)))
    }
}

impl<'de, D: Deserializer<'de>> Serialize for Transcoded<D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let deserializer = self.0.take().ok_or_else(|| S::Error::custom("a value is read once"))?;
        deserializer.deserialize_any(Writer(serializer)).map_err(S::Error::custom)
    }
}

struct Writer<S>(S);

impl<'de, S: Serializer> Visitor<'de> for Writer<S> {
    type Value = S::Ok;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<S::Ok, E> {
        self.0.serialize_unit().map_err(E::custom)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<S::Ok, E> {
        self.0.serialize_bool(value).map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<S::Ok, E> {
        self.0.serialize_i64(number).map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<S::Ok, E> {
        self.0.serialize_u64(number).map_err(E::custom)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<S::Ok, E> {
        self.0.serialize_f64(number).map_err(E::custom)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<S::Ok, E> {
        self.0.serialize_str(text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<S::Ok, A::Error> {
        let mut seq = self.0.serialize_seq(items.size_hint()).map_err(A::Error::custom)?;
        while items.next_element_seed(Item(&mut seq))?.is_some() {}
        seq.end().map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<S::Ok, A::Error> {
        let mut map = self.0.serialize_map(members.size_hint()).map_err(A::Error::custom)?;
        while members.next_key_seed(Key(&mut map))?.is_some() {
            members.next_value_seed(Value(&mut map))?;
        }
        map.end().map_err(A::Error::custom)
    }
}

struct Item<'a, S>(&'a mut S);

impl<'de, S: SerializeSeq> DeserializeSeed<'de> for Item<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.serialize_element(&Transcoded::new(deserializer)).map_err(D::Error::custom)
    }
}

struct Key<'a, S>(&'a mut S);

impl<'de, S: SerializeMap> DeserializeSeed<'de> for Key<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.serialize_key(&Transcoded::new(deserializer)).map_err(D::Error::custom)
    }
}

struct Value<'a, S>(&'a mut S);

impl<'de, S: SerializeMap> DeserializeSeed<'de> for Value<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.serialize_value(&Transcoded::new(deserializer)).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn json(text: &str) -> Raw {
        Raw { form: Format::Json.form(), bytes: text.as_bytes().into() }
    }

    fn packed(value: &Value) -> Raw {
        let bytes = rmp_serde::to_vec_named(value).expect("bytes");
        Raw { form: Format::MessagePack.form(), bytes: bytes.into() }
    }

    fn unpacked(bytes: &[u8]) -> Value {
        rmp_serde::from_slice(bytes).expect("a value")
    }

    /// Any value of JSON, but for numbers that are not whole: their text has more forms than one.
    fn value() -> impl Strategy<Value = Value> {
        let number = prop_oneof![any::<i64>().prop_map(Value::from), any::<u64>().prop_map(Value::from)];
        let float = prop::num::f64::NORMAL.prop_map(Value::from);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number,
            float,
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(6, 64, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..20)
                    .prop_map(|members| Value::from(serde_json::Map::from_iter(members))),
            ]
        })
    }

    #[test]
    fn a_value_in_its_own_format_is_copied() {
        let text = r#"{ "b" : 1.50, "a": "\u0041", "b":2 }"#;
        assert_eq!(&*in_format(&json(text), Format::Json), text.as_bytes());
        let long = Raw { form: Format::MessagePack.form(), bytes: [0xdd, 0, 0, 0, 1, 0xd2, 0, 0, 0, 7].into() };
        assert_eq!(in_format(&long, Format::MessagePack), &*long.bytes);
    }

    #[test]
    fn undefined_goes_out_as_null() {
        let undefined = Raw { form: Format::MessagePack.form(), bytes: [0x92, 0xd4, 0, 0, 0x01].into() };
        assert_eq!(&*in_format(&undefined, Format::Json), b"[null,1]");
    }

    #[test]
    fn what_the_service_says_of_a_client_goes_out_with_what_the_client_says() {
        let claim = "a \"moderator\"";
        let told = |extras: Option<&Value>| {
            let text = extras.map(|extras| format!(" {extras} ").into_bytes());
            let json = with_claim(text.map(Cow::Owned), claim, Format::Json);
            let bytes = extras.map(|extras| Cow::Owned(packed(extras).bytes.to_vec()));
            let packed = unpacked(&with_claim(bytes, claim, Format::MessagePack));
            assert_eq!(serde_json::from_slice::<Value>(&json).expect("JSON"), packed);
            packed
        };

        assert_eq!(told(None), json!({ "userClaim": claim }));
        assert_eq!(told(Some(&json!({}))), json!({ "userClaim": claim }));
        let many: serde_json::Map<String, Value> = (0..15).map(|n| (n.to_string(), Value::Null)).collect();
        assert_eq!(told(Some(&many.clone().into())).as_object().map(serde_json::Map::len), Some(16));
    }

    #[test]
    fn json_is_put_into_an_answer_in_either_format() {
        let answer = json!({ "response": [{ "a": 1 }] });
        let text = br#"{"response":[{"a":1}]}"#;
        assert_eq!(&Format::Json.encode(&Json(text))[..], text);
        assert_eq!(unpacked(&Format::MessagePack.encode(&Json(text))), answer);
    }

    proptest! {
        #[test]
        fn a_value_is_the_same_in_both_formats(value in value()) {
            let there = in_format(&json(&value.to_string()), Format::MessagePack).into_owned();
            let parsed: Value = serde_json::from_str(&value.to_string()).expect("JSON");
            prop_assert_eq!(unpacked(&there), parsed);

            let back = in_format(&packed(&value), Format::Json).into_owned();
            prop_assert_eq!(String::from_utf8(back).expect("text"), value.to_string());
        }
    }
}
