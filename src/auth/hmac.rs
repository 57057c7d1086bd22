//! HMAC-SHA256 over a request (acs-rooms.md, section 8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::AuthError;
use super::keyring::{AccessKey, Keyring};

/// What a client signed, as far as all its forms share it.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    pub verb: &'a str,
    pub date: &'a str,
    pub content_hash: &'a str,
    /// Base64.
    pub signature: &'a str,
}

const SCHEME: &str = "HMAC-SHA256 SignedHeaders=";

/// The header with the date that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateHeader {
    XMsDate,
    /// As clients of the first versions sign.
    Date,
}

/// How much of a scheme's name is kept for the log.
const LONGEST_SCHEME: usize = 32;

/// The signature in an Authorization header, and where the date is that it covers.
///
/// # Errors
/// `OtherScheme` unless it signs exactly the three headers.
pub fn read_authorization(header: &str) -> Result<(DateHeader, &str), AuthError> {
    let other = || AuthError::OtherScheme(scheme(header));
    let (headers, signature) =
        header.strip_prefix(SCHEME).and_then(|rest| rest.split_once("&Signature=")).ok_or_else(other)?;
    match headers {
        "x-ms-date;host;x-ms-content-sha256" => Ok((DateHeader::XMsDate, signature)),
        "date;host;x-ms-content-sha256" => Ok((DateHeader::Date, signature)),
        _ => Err(other()),
    }
}

/// The scheme that a header names. What follows may be a secret.
fn scheme(header: &str) -> String {
    let name = header.split(' ').next().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.len() < header.len() && name.len() <= LONGEST_SCHEME && name.chars().all(is_name) {
        name.to_owned()
    } else {
        "no scheme".to_owned()
    }
}

/// Reads an HTTP date, in which letters may have any case.
fn read_date(sent: &str) -> Option<DateTime<Utc>> {
    let mut text = sent.to_ascii_lowercase();
    let words =
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug"];
    for word in words.into_iter().chain(["sep", "oct", "nov", "dec"]) {
        if let Some(place) = text.find(word)
            && let Some(letter) = text.get_mut(place..place + 1)
        {
            letter.make_ascii_uppercase();
        }
    }
    Some(httpdate::parse_http_date(&text.replace("gmt", "GMT")).ok()?.into())
}

/// SHA-256 of a body.
pub fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// Compares the hash that a client sent with the body's own.
pub fn verify_content(sent: &str, digest: &[u8; 32]) -> Result<(), AuthError> {
    let expected = STANDARD.encode(digest);
    if expected.as_bytes().ct_eq(sent.as_bytes()).into() { Ok(()) } else { Err(AuthError::ContentHash { expected }) }
}

/// What stands between the parts: the text that is signed (section 8).
pub fn string_to_sign(signed: Signed<'_>, target: &str, host: &str) -> String {
    format!("{}\n{target}\n{};{host};{}", signed.verb, signed.date, signed.content_hash)
}

/// The headers of a request that is signed with `key`.
pub fn sign(
    key: &AccessKey,
    verb: &str,
    target: &str,
    date: &str,
    host: &str,
    body: &[u8],
) -> [(&'static str, String); 3] {
    let content_hash = STANDARD.encode(digest(body));
    let text = string_to_sign(Signed { verb, date, content_hash: &content_hash, signature: "" }, target, host);
    let signature = STANDARD.encode(key.mac.clone().chain_update(text).finalize().into_bytes());
    let authorization = format!("{SCHEME}x-ms-date;host;x-ms-content-sha256&Signature={signature}");
    [("x-ms-date", date.to_owned()), ("x-ms-content-sha256", content_hash), ("Authorization", authorization)]
}

/// Finds the key with which the request was signed in one of its forms: pairs of target and host,
/// the likeliest first; and the host that was signed. Each comparison takes the same time, whatever it finds.
pub fn verify<'k, T: AsRef<str>, H: AsRef<str>>(
    keyring: &'k Keyring,
    signed: Signed<'_>,
    forms: impl IntoIterator<Item = (T, H)>,
) -> Result<(&'k AccessKey, H), AuthError> {
    find(keyring, |key| &key.mac, signed, forms)
}

/// True if the request was signed with the text of a key in place of the bytes that it encodes.
pub fn is_signed_with_key_text<T: AsRef<str>, H: AsRef<str>>(
    keyring: &Keyring,
    signed: Signed<'_>,
    forms: impl IntoIterator<Item = (T, H)>,
) -> bool {
    find(keyring, |key| &key.text_mac, signed, forms).is_ok()
}

fn find<'k, T: AsRef<str>, H: AsRef<str>>(
    keyring: &'k Keyring,
    mac: impl Fn(&AccessKey) -> &Hmac<Sha256>,
    signed: Signed<'_>,
    forms: impl IntoIterator<Item = (T, H)>,
) -> Result<(&'k AccessKey, H), AuthError> {
    let signature = STANDARD.decode(signed.signature).map_err(|_| AuthError::Signature)?;
    for (target, host) in forms {
        let text = string_to_sign(signed, target.as_ref(), host.as_ref());
        for key in keyring.iter() {
            if mac(key).clone().chain_update(&text).verify_slice(&signature).is_ok() {
                return Ok((key, host));
            }
        }
    }
    Err(AuthError::Signature)
}

/// Checks that a request was dated within `tolerated` of now, if that matters.
pub fn verify_date(sent: &str, now: DateTime<Utc>, tolerated: Option<TimeDelta>) -> Result<(), AuthError> {
    let sent: DateTime<Utc> = match httpdate::parse_http_date(sent) {
        Ok(date) => date.into(),
        Err(_) => read_date(sent).ok_or(AuthError::UnreadableDate)?,
    };
    let ahead = sent - now;
    match tolerated {
        Some(tolerated) if ahead.abs() > tolerated => Err(AuthError::Skew { ahead, tolerated }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn keyring(key: &str) -> Keyring {
        let resource = uuid::Uuid::nil().into();
        AccessKey::new(resource, "dev.primary".to_owned(), key).into_iter().collect()
    }

    /// Known-answer pairs of the reference, section 8.
    #[rstest]
    #[case("banana", "88EC05aAS9iXnaimtNO78JLjiPtfWryQB/5QYEzEsu8=")]
    #[case("\u{1F600}", "1rudJKjn2Zi+3hRrBG29wIF6pD6YyAeQR1ZcFtXoKAU=")]
    fn a_key_signs_as_the_clients_do(#[case] text: &str, #[case] signature: &str) {
        let keyring = keyring("pw==");
        let key = keyring.iter().next().expect("a key");
        let mut mac = key.mac.clone();
        mac.update(text.as_bytes());
        assert_eq!(STANDARD.encode(mac.finalize().into_bytes()), signature);
    }

    #[rstest]
    #[case::fine("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=abc=", Ok((DateHeader::XMsDate, "abc=")))]
    #[case::of_2021("HMAC-SHA256 SignedHeaders=date;host;x-ms-content-sha256&Signature=abc=", Ok((DateHeader::Date, "abc=")))]
    #[case::other_list("HMAC-SHA256 SignedHeaders=x-ms-date;host&Signature=abc=", Err("HMAC-SHA256"))]
    #[case::bearer("Bearer abc", Err("Bearer"))]
    #[case::a_secret_alone("abc", Err("no scheme"))]
    #[case::no_signature("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256", Err("HMAC-SHA256"))]
    fn only_the_documented_headers_are_read(#[case] header: &str, #[case] wanted: Result<(DateHeader, &str), &str>) {
        let wanted = wanted.map_err(|scheme| AuthError::OtherScheme(scheme.to_owned()));
        assert_eq!(read_authorization(header), wanted);
    }

    #[rstest]
    #[case::at_the_edge("Sat, 21 Nov 2026 01:07:52 GMT", Some(60), true)]
    #[case::beyond("Sat, 21 Nov 2026 01:07:52 GMT", Some(59), false)]
    #[case::in_lower_case("sat, 21 nov 2026 01:08:52 gmt", Some(60), true)]
    #[case::in_upper_case("SAT, 21 NOV 2026 01:08:52 GMT", Some(60), true)]
    #[case::off("Thu, 21 Nov 1996 01:07:52 GMT", None, true)]
    #[case::unreadable("2026-11-21T01:07:52Z", None, false)]
    fn a_date_is_judged_by_its_distance(#[case] date: &str, #[case] tolerated: Option<i64>, #[case] fine: bool) {
        let now = "2026-11-21T01:08:52Z".parse().expect("a date");
        assert_eq!(verify_date(date, now, tolerated.map(TimeDelta::seconds)).is_ok(), fine);
    }
}
