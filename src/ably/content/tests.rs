//! Which data is kept, in which bytes, and which is refused.

use serde_json::{Value, json};

use super::*;
use crate::ably::frame::{Incoming, IncomingMessage};

/// A frame of one message, whose members are written already.
fn json_frame(members: &str) -> Vec<u8> {
    format!("{{\"action\":15,\"messages\":[{{{members}}}]}}").into_bytes()
}

fn packed_frame(message: &Value) -> Vec<u8> {
    rmp_serde::to_vec_named(&json!({ "action": 15, "messages": [message] })).expect("bytes")
}

fn message(format: Format, frame: &[u8]) -> Result<IncomingMessage, NotAFrame> {
    let Incoming { messages, .. } = format.decode(frame)?;
    Ok(messages.expect("messages").remove(0))
}

fn extras_of(extras: &str) -> Result<WireExtras, NotAFrame> {
    let message = message(Format::Json, &json_frame(&format!("\"extras\":{extras}")))?;
    Ok(message.extras.expect("extras"))
}

fn packed_extras(extras: &[u8]) -> Result<WireExtras, NotAFrame> {
    let frame = [&[0x81, 0xa8][..], b"messages", &[0x91, 0x81, 0xa6], b"extras", extras].concat();
    Ok(message(Format::MessagePack, &frame)?.extras.expect("extras"))
}

#[test]
fn data_is_kept_as_the_bytes_that_came() {
    for data in [r#"[{"":""},{"":""}]"#, r#"{ "b":1.50,  "a":[true,null,1e3,-0] }"#, "12", "true", "[]"] {
        let json = message(Format::Json, &json_frame(&format!("\"data\": {data} "))).expect("a message");
        let Some(WireData(Data::Raw(raw))) = json.data else { panic!("{data}: {json:?}") };
        assert_eq!(&*raw.bytes, data.as_bytes());

        let value: Value = serde_json::from_str(data).expect("a value");
        let packed = message(Format::MessagePack, &packed_frame(&json!({ "data": value }))).expect("a message");
        let Some(WireData(Data::Raw(raw))) = packed.data else { panic!("{data}: {packed:?}") };
        assert_eq!(&*raw.bytes, rmp_serde::to_vec_named(&value).expect("bytes"));
    }
}

#[test]
fn many_tiny_values_are_counted_by_their_length() {
    let data = format!("[{}]", vec![r#"{"":""}"#; 1_900].join(","));
    let json = message(Format::Json, &json_frame(&format!("\"data\":{data}"))).expect("a message");
    let data = json.data.map(|data| data.0);
    let payload = crate::realtime::Payload { data, ..Default::default() };

    assert_eq!(payload.size(), 15_201);
    assert!(payload.memory() < 15_300);
}

#[test]
fn text_is_text_and_null_is_nothing() {
    let text = message(Format::Json, &json_frame(r#""data":"a\u00e4\n""#)).expect("a message");
    assert_eq!(text.data, Some(WireData(Data::Text("aä\n".into()))));
    assert_eq!(message(Format::Json, &json_frame(r#""data":null"#)).expect("a message").data, None);
}

#[test]
fn undefined_in_messagepack_is_null() {
    let undefined = [0xd4, 0, 0];
    let frame = [&[0x81, 0xa8][..], b"messages", &[0x91, 0x81, 0xa4], b"data"].concat();
    let alone = message(Format::MessagePack, &[&frame[..], &undefined].concat()).expect("a message");
    let inside = message(Format::MessagePack, &[&frame[..], &[0x91], &undefined].concat()).expect("a message");

    assert_eq!(alone.data, None);
    assert!(matches!(inside.data, Some(WireData(Data::Raw(_)))));
}

#[test]
fn what_the_other_format_does_not_have_is_refused() {
    let frame = [&[0x81, 0xa8][..], b"messages", &[0x91, 0x81, 0xa4], b"data"].concat();
    let packed: [&[u8]; 5] = [
        &[0x91, 0xc4, 1, 7],    // bytes in a list
        &[0x81, 0x01, 0x01],    // a name that is a number
        &[0x91, 0xd4, 1, 0],    // an extension of another type
        &[0x91, 0xa1, 0xff],    // text that is not UTF-8
        &[0x91, 0xd9, 0x05, 1], // cut off
    ];
    for data in packed {
        let decoded = message(Format::MessagePack, &[&frame[..], data].concat());
        assert!(decoded.is_err(), "{data:x?}: {decoded:?}");
    }
    for data in ["[1e400]", r#"["\ud800"]"#, r#"{"\udc00":1}"#, "[01]", r#""\ud800""#] {
        let decoded = message(Format::Json, &json_frame(&format!("\"data\":{data}")));
        assert!(decoded.is_err(), "{data}: {decoded:?}");
    }
}

#[test]
fn data_that_is_nested_too_deep_is_refused() {
    for (format, deep) in [(Format::Json, 130), (Format::MessagePack, 65)] {
        let frame = |depth: usize| match format {
            Format::Json => json_frame(&format!("\"data\":{}{}", "[".repeat(depth), "]".repeat(depth))),
            Format::MessagePack => {
                let head = [&[0x81, 0xa8][..], b"messages", &[0x91, 0x81, 0xa4], b"data"].concat();
                [head, vec![0x91; depth - 1], vec![0x90]].concat()
            }
        };
        assert!(message(format, &frame(deep)).is_err(), "{format:?}");
        assert!(message(format, &frame(60)).is_ok(), "{format:?}");
    }
}

#[test]
fn what_only_the_service_says_is_stripped_however_often_and_however_it_is_written() {
    let told = r#"{"a":[{}],"userClaim":"admin","b":2,"\u0075serClaim":{"x":1},"userClaim":null}"#;
    assert_eq!(&*extras_of(told).expect("extras").raw.bytes, br#"{"a":[{}],"b":2}"#);
    assert_eq!(&*extras_of(r#"{"userClaim":1}"#).expect("extras").raw.bytes, b"{}");

    // {"userClaim": 1, "a": 2, "userClaim": [3]}
    let claim = [&[0xa9][..], b"userClaim"].concat();
    let told = [&[0x83][..], &claim, &[1, 0xa1], b"a", &[2], &claim, &[0x91, 3]].concat();
    assert_eq!(&*packed_extras(&told).expect("extras").raw.bytes, &[0x81, 0xa1, b'a', 2]);
}

#[test]
fn extras_are_ephemeral_if_they_say_so_once() {
    for (extras, is_ephemeral) in [
        (r#"{"ephemeral":true}"#, true),
        (r#"{"headers":{},"\u0065phemeral" : true }"#, true),
        (r#"{"ephemeral":false}"#, false),
        (r#"{"ephemeral":"true"}"#, false),
        (r#"{"ephemeral":[true]}"#, false),
        (r#"{"headers":{"ephemeral":true}}"#, false),
    ] {
        assert_eq!(extras_of(extras).expect("extras").is_ephemeral, is_ephemeral, "{extras}");
    }
    assert!(extras_of(r#"{"ephemeral":false,"ephemeral":true}"#).is_err());
    let twice = [&[0x82, 0xa9][..], b"ephemeral", &[0xc3, 0xa9], b"ephemeral", &[0xc2]].concat();
    assert!(packed_extras(&twice).is_err());
}

#[test]
fn extras_are_an_object() {
    for extras in ["[]", "1", "\"x\"", "true"] {
        assert!(extras_of(extras).is_err(), "{extras}");
    }
    assert!(packed_extras(&[0x90]).is_err());
}
