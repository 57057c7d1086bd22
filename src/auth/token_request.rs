//! A request for a token, signed with an access key (ably-chat.md, section 2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac as _;

use super::keyring::AccessKey;

/// True if `mac` (base64) is the key's over the fields, each with a line feed behind it.
pub fn is_signed(key: &AccessKey, fields: &[&str], mac: &str) -> bool {
    let Ok(mac) = STANDARD.decode(mac) else { return false };
    let mut own = key.text_mac.clone();
    for field in fields {
        own.update(field.as_bytes());
        own.update(b"\n");
    }
    own.verify_slice(&mac).is_ok()
}
