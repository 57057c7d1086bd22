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
const SIGNED_HEADERS: &str = "x-ms-date;host;x-ms-content-sha256";

/// The signature in an Authorization header.
///
/// # Errors
/// `OtherScheme` unless it signs exactly the three headers.
pub fn read_authorization(header: &str) -> Result<&str, AuthError> {
    let (headers, signature) =
        header.strip_prefix(SCHEME).and_then(|rest| rest.split_once("&Signature=")).ok_or(AuthError::OtherScheme)?;
    if headers == SIGNED_HEADERS { Ok(signature) } else { Err(AuthError::OtherScheme) }
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
    let sent: DateTime<Utc> = httpdate::parse_http_date(sent).map_err(|_| AuthError::UnreadableDate)?.into();
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
    #[case::fine("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=abc=", Ok("abc="))]
    #[case::other_list("HMAC-SHA256 SignedHeaders=x-ms-date;host&Signature=abc=", Err(AuthError::OtherScheme))]
    #[case::bearer("Bearer abc", Err(AuthError::OtherScheme))]
    #[case::no_signature("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256", Err(AuthError::OtherScheme))]
    fn only_the_documented_header_is_read(#[case] header: &str, #[case] wanted: Result<&str, AuthError>) {
        assert_eq!(read_authorization(header), wanted);
    }

    #[rstest]
    #[case::at_the_edge("Sat, 21 Nov 2026 01:07:52 GMT", Some(60), true)]
    #[case::beyond("Sat, 21 Nov 2026 01:07:52 GMT", Some(59), false)]
    #[case::off("Thu, 21 Nov 1996 01:07:52 GMT", None, true)]
    #[case::unreadable("2026-11-21T01:07:52Z", None, false)]
    fn a_date_is_judged_by_its_distance(#[case] date: &str, #[case] tolerated: Option<i64>, #[case] fine: bool) {
        let now = "2026-11-21T01:08:52Z".parse().expect("a date");
        assert_eq!(verify_date(date, now, tolerated.map(TimeDelta::seconds)).is_ok(), fine);
    }
}
