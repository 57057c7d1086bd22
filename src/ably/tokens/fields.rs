//! The fields of a token request, as their client wrote and signed them.

use serde_json::Value;

use crate::ably::auth::check_client_id;
use crate::ably::codec::Format;
use crate::ably::error::ErrorInfo;
use crate::auth::members::Members;

/// The fields as the text that is signed. One that is left out, or null, is signed as an empty one, and means the same.
pub struct Fields {
    pub key_name: String,
    pub ttl: String,
    pub capability: String,
    pub client_id: String,
    pub timestamp: String,
    pub nonce: String,
    pub mac: String,
}

/// The longest name, nonce or signature, in bytes. A nonce is kept until no request with it could be in time.
const LONGEST: usize = 256;
const LONGEST_CAPABILITY: usize = 32 * 1024;
/// Enough digits, with a sign, for every number of milliseconds.
const LONGEST_NUMBER: usize = 20;

impl Fields {
    /// Reads the body of a request. Nothing is compared before every field is known to be what it has to be.
    ///
    /// # Errors
    /// A field is of another type, too long, missing, or could be taken for two: each is signed with a line feed behind it.
    pub fn read(format: Format, body: &[u8]) -> Result<Self, ErrorInfo> {
        let told = "the body is not a token request: an object with keyName, timestamp, nonce and mac, each once";
        let sent = match format {
            Format::Json => Members::read(body),
            Format::MessagePack => {
                format.decode_value(body).and_then(|value| Members::read(value.to_string().as_bytes()))
            }
        };
        let sent = sent.ok_or_else(|| ErrorInfo::malformed(told))?;
        let fields = Self {
            key_name: required("keyName", text(&sent, "keyName", LONGEST)?)?,
            ttl: number(&sent, "ttl")?,
            capability: text(&sent, "capability", LONGEST_CAPABILITY)?,
            client_id: text(&sent, "clientId", usize::MAX)?,
            timestamp: required("timestamp", number(&sent, "timestamp")?)?,
            nonce: required("nonce", text(&sent, "nonce", LONGEST)?)?,
            mac: text(&sent, "mac", LONGEST)?,
        };
        check_client_id(&fields.client_id)?;
        Ok(fields)
    }

    /// Those that are signed, in their order.
    pub fn signed(&self) -> [&str; 6] {
        [&self.key_name, &self.ttl, &self.capability, &self.client_id, &self.timestamp, &self.nonce]
    }
}

fn text(sent: &Members, name: &str, longest: usize) -> Result<String, ErrorInfo> {
    match sent.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) if text.len() > longest => {
            Err(refused(format!("the {name} is longer than {longest} bytes")))
        }
        Some(Value::String(text)) if text.contains(char::is_control) => Err(refused(format!(
            "the {name} contains a control character, such as a line feed: leave it out, and sign again"
        ))),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(refused(format!("the {name} is not text: write it as a JSON string, or leave it out"))),
    }
}

/// A whole number, or the text of one: `authUrl` may make it text.
fn number(sent: &Members, name: &str) -> Result<String, ErrorInfo> {
    let written = match sent.get(name) {
        Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
        Some(Value::String(_)) | Some(Value::Null) | None => text(sent, name, LONGEST_NUMBER)?,
        Some(_) => return Err(no_number(name)),
    };
    let digits = written.strip_prefix('-').unwrap_or(&written);
    let is_number = written.is_empty() || !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number { Ok(written) } else { Err(no_number(name)) }
}

fn required(name: &str, written: String) -> Result<String, ErrorInfo> {
    if written.is_empty() {
        Err(refused(format!("the {name} is missing: add it, and sign again")))
    } else {
        Ok(written)
    }
}

fn no_number(name: &str) -> ErrorInfo {
    refused(format!(
        "the {name} is not a whole number of milliseconds: write digits, without a fraction or an exponent"
    ))
}

fn refused(told: String) -> ErrorInfo {
    ErrorInfo::new(40003, 400, told)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(field: &str) -> Result<String, u32> {
        let usual = r#""keyName":"dev.primary","timestamp":1,"nonce":"n""#;
        let name = field.split('"').nth(1).unwrap_or("");
        let others: Vec<&str> = usual.split(',').filter(|other| !other.starts_with(&format!("\"{name}\""))).collect();
        let body = format!("{{{},{field}}}", others.join(","));
        let fields = Fields::read(Format::Json, body.as_bytes()).map_err(|error| error.code)?;
        Ok(fields.signed().join("|"))
    }

    #[rstest]
    #[case::number(r#""ttl":60000"#, Ok("dev.primary|60000|||1|n"))]
    #[case::number_as_text(r#""ttl":"60000""#, Ok("dev.primary|60000|||1|n"))]
    #[case::below_zero(r#""ttl":-1"#, Ok("dev.primary|-1|||1|n"))]
    #[case::null(r#""ttl":null"#, Ok("dev.primary||||1|n"))]
    #[case::empty(r#""ttl":"""#, Ok("dev.primary||||1|n"))]
    #[case::fraction(r#""ttl":60000.5"#, Err(40003))]
    #[case::whole_with_a_fraction(r#""ttl":60000.0"#, Err(40003))]
    #[case::exponent(r#""ttl":6e4"#, Err(40003))]
    #[case::exponent_as_text(r#""ttl":"6e4""#, Err(40003))]
    #[case::sign(r#""ttl":"+60000""#, Err(40003))]
    #[case::sign_alone(r#""ttl":"-""#, Err(40003))]
    #[case::blank(r#""ttl":" 60000""#, Err(40003))]
    #[case::too_large(r#""ttl":123456789012345678901234567890"#, Err(40003))]
    #[case::too_long(r#""ttl":"123456789012345678901""#, Err(40003))]
    #[case::truth(r#""ttl":true"#, Err(40003))]
    #[case::list(r#""timestamp":[1]"#, Err(40003))]
    #[case::line_feed(r#""timestamp":"1\n""#, Err(40003))]
    #[case::missing(r#""timestamp":null"#, Err(40003))]
    fn a_number_is_signed_as_it_is_written_or_refused(#[case] field: &str, #[case] wanted: Result<&str, u32>) {
        assert_eq!(read(field).as_deref().map_err(|code| *code), wanted);
    }

    #[rstest]
    #[case::text(r#""clientId":"bob \u00e9""#, Ok("dev.primary|||bob é|1|n"))]
    #[case::null(r#""clientId":null"#, Ok("dev.primary||||1|n"))]
    #[case::line_feed(r#""clientId":"bob\n1""#, Err(40003))]
    #[case::carriage_return(r#""nonce":"n\r""#, Err(40003))]
    #[case::tab(r#""keyName":"dev.primary\t""#, Err(40003))]
    #[case::zero(r#""clientId":"bob\u0000""#, Err(40003))]
    #[case::next_line(r#""clientId":"bob\u0085""#, Err(40003))]
    #[case::pretty_capability(r#""capability":"{\n}""#, Err(40003))]
    #[case::object(r#""capability":{}"#, Err(40003))]
    #[case::number(r#""nonce":1"#, Err(40003))]
    #[case::missing(r#""nonce":"""#, Err(40003))]
    #[case::list(r#""mac":[]"#, Err(40003))]
    #[case::twice(r#""clientId":"ann","clientId":"bob""#, Err(40000))]
    fn a_text_is_signed_as_it_is_written_or_refused(#[case] field: &str, #[case] wanted: Result<&str, u32>) {
        assert_eq!(read(field).as_deref().map_err(|code| *code), wanted);
    }

    #[rstest]
    #[case("keyName", 256, 40003)]
    #[case("nonce", 256, 40003)]
    #[case("mac", 256, 40003)]
    #[case("capability", 32 * 1024, 40003)]
    #[case("clientId", 512, 40012)]
    fn a_text_has_a_longest(#[case] name: &str, #[case] longest: usize, #[case] code: u32) {
        let field = |bytes| read(&format!(r#""{name}":"{}""#, "x".repeat(bytes)));
        assert!(field(longest).is_ok());
        assert_eq!(field(longest + 1), Err(code));
    }
}
