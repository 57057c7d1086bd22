//! The access keys that requests may be signed with.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _};
use rand::RngExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::domain::resource::ResourceId;

/// One access key, ready to sign with.
#[derive(Clone)]
pub struct AccessKey {
    pub resource: ResourceId,
    /// What clients of live rooms call it: `<resource>.<key>`.
    pub name: String,
    /// As they write it, and sign with it.
    pub(super) text: SecretString,
    /// Keyed with the bytes that the text encodes: how requests are signed.
    pub(super) mac: Hmac<Sha256>,
    /// Keyed with the text itself: how clients of live rooms sign, and for others a mistake that is worth telling.
    pub(super) text_mac: Hmac<Sha256>,
}

/// Every key of the service; the likeliest first.
#[derive(Clone, Default)]
pub struct Keyring(Vec<AccessKey>);

/// The text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an access key is base64 of at least one byte")]
pub struct AccessKeyError;

/// As the clients read key texts: padding may be missing, the last bits may be anything
/// (acs-rooms.md, section 8, two keys).
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key's text without what is left around it: blanks, and the `;` of a connection string.
pub fn trimmed(text: &str) -> &str {
    text.trim_start().trim_end_matches(|c: char| c == ';' || c.is_whitespace())
}

/// The bytes of a key's text, [`trimmed`].
pub fn decode(text: &str) -> Result<Vec<u8>, AccessKeyError> {
    match LENIENT.decode(trimmed(text)) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(AccessKeyError),
    }
}

/// The text of a new key: 64 random bytes.
pub fn generate() -> String {
    let bytes: [u8; 64] = rand::rng().random();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl AccessKey {
    /// A key from its name and its text.
    pub fn new(resource: ResourceId, name: String, text: &str) -> Result<Self, AccessKeyError> {
        let text = trimmed(text); // clients of live rooms sign with it
        let mac = Hmac::new_from_slice(&decode(text)?).map_err(|_| AccessKeyError)?;
        let text_mac = Hmac::new_from_slice(text.as_bytes()).map_err(|_| AccessKeyError)?;
        Ok(Self { resource, name, text: text.into(), mac, text_mac })
    }

    /// True if it signs requests as a key does that is no secret.
    pub fn signs_as(&self, public: &str) -> bool {
        let own = decode(self.text.expose_secret());
        own.is_ok_and(|own| decode(public).is_ok_and(|public| own.ct_eq(&public).into()))
    }

    /// True if that is its text. It takes the same time, whatever was sent.
    pub fn is_text(&self, sent: &str) -> bool {
        self.text.expose_secret().as_bytes().ct_eq(sent.as_bytes()).into()
    }
}

impl Keyring {
    /// The key of that name.
    pub fn find(&self, name: &str) -> Option<&AccessKey> {
        self.0.iter().find(|key| key.name == name)
    }

    /// The keys in the order in which they are tried.
    pub fn iter(&self) -> impl Iterator<Item = &AccessKey> {
        self.0.iter()
    }
}

impl FromIterator<AccessKey> for Keyring {
    fn from_iter<I: IntoIterator<Item = AccessKey>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::whole("bWFkZS11cC1rZXk=", Ok(b"made-up-key".to_vec()))]
    #[case::unpadded("bWFkZS11cC1rZXk", Ok(b"made-up-key".to_vec()))]
    #[case::from_a_connection_string(" bWFkZS11cC1rZXk=;\n", Ok(b"made-up-key".to_vec()))]
    #[case::from_one_with_blanks("bWFkZS11cC1rZXk= ; ", Ok(b"made-up-key".to_vec()))]
    #[case::one_byte("pw==", Ok(vec![0xa7]))]
    #[case::empty("", Err(AccessKeyError))]
    #[case::no_base64("not a key", Err(AccessKeyError))]
    fn a_key_is_read_as_clients_read_it(#[case] text: &str, #[case] wanted: Result<Vec<u8>, AccessKeyError>) {
        assert_eq!(decode(text), wanted);
    }

    #[rstest]
    #[case("bWFkZS11cC1rZXk=;")]
    #[case(" bWFkZS11cC1rZXk= ;\n")]
    fn a_key_s_text_is_what_clients_write(#[case] kept: &str) {
        let key = AccessKey::new(uuid::Uuid::nil().into(), "dev.primary".to_owned(), kept).unwrap();

        assert!(key.is_text("bWFkZS11cC1rZXk="));
    }
}
