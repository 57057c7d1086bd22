//! Why a signature was refused, for a developer who asked for it with `--explain-auth`: what the
//! server would have signed, and which part differs, as far as that can be found by trying.

use actix_web::HttpRequest;
use actix_web::http::header::{DATE, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::host::{self, Ports, PublicHost};
use crate::auth::AuthError;
use crate::auth::hmac::{self, Signed, string_to_sign};
use crate::auth::keyring::Keyring;

/// What stands in the answer's `innererror`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SignatureExplanation)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    reason: String,
    /// `method`, `target`, `date`, `host`, `content hash`, `key`, or the name of a header; absent if it was not found.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<&'static str>,
    /// As a client would write it into x-ms-date.
    server_time: String,
    /// One for each form of the request that was tried. They hold no secret.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    strings_to_sign: Vec<String>,
}

/// A request as it would have been signed, with all that its refusal is looked for in.
pub struct Refused<'a> {
    pub req: &'a HttpRequest,
    pub keyring: &'a Keyring,
    pub signed: Option<Signed<'a>>,
    pub target: &'a str,
    pub host: &'a str,
    pub ports: Ports,
    pub public_hosts: &'a [PublicHost],
}

/// How many forms an answer shows.
const SHOWN: usize = 32;
/// A request whose target and host are longer is refused without a search: nobody's mistake needs so
/// much, and a search takes its time.
const LONGEST: usize = 2048;

impl Explanation {
    /// For the log.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl Refused<'_> {
    /// Explains `error` at `now`.
    pub fn explain(&self, error: &AuthError, now: DateTime<Utc>) -> Explanation {
        let is_short = self.target.len() + self.host.len() <= LONGEST;
        let signed = self.signed.filter(|_| is_short);
        let (differs, reason) = match (error, signed) {
            (AuthError::Signature, Some(signed)) => self.find_difference(signed),
            (AuthError::ContentHash { .. }, _) => (Some("content hash"), error.to_string()),
            (AuthError::UnreadableDate | AuthError::Skew { .. }, _) => (Some("date"), error.to_string()),
            (AuthError::MissingHeader(name), _) => (Some(*name), error.to_string()),
            (AuthError::OtherScheme(_), _) => (Some("Authorization"), error.to_string()),
            (AuthError::BasicIsOff | AuthError::BasicInTheOpen | AuthError::BasicKey, _) => {
                (Some("Authorization"), error.to_string())
            }
            (AuthError::Signature, None) => (None, error.to_string()),
        };
        let shown = |signed| self.forms(self.host).take(SHOWN).map(move |(t, h)| string_to_sign(signed, &t, &h));
        Explanation {
            reason,
            differs,
            server_time: httpdate::fmt_http_date(now.into()),
            strings_to_sign: signed.map(|signed| shown(signed).collect()).unwrap_or_default(),
        }
    }

    /// Tries what developers get wrong, one part at a time.
    fn find_difference(&self, signed: Signed<'_>) -> (Option<&'static str>, String) {
        if STANDARD.decode(signed.signature).map_or(0, |bytes| bytes.len()) != 32 {
            return (Some("Authorization"), "the signature is not base64 of the 32 bytes of an HMAC-SHA256".to_owned());
        }
        if let Some(told) = self.compare_with_sent(signed) {
            return told;
        }
        if hmac::is_signed_with_key_text(self.keyring, signed, self.forms(self.host)) {
            return (Some("key"), "the key's text was used as it is: decode it from base64 first".to_owned());
        }
        for other in self.other_hosts() {
            if self.fits(signed, self.target, &other) {
                return (Some("host"), format!("signed for the host {other}; the request came to {}", self.host));
            }
        }
        if let Some(date) = self.header(DATE)
            && self.fits(Signed { date, ..signed }, self.target, self.host)
        {
            return (Some("date"), format!("signed for the date {date}, which is not the one in x-ms-date"));
        }
        let of_nothing = STANDARD.encode(hmac::digest(b""));
        if self.fits(Signed { content_hash: &of_nothing, ..signed }, self.target, self.host) {
            return (Some("content hash"), "signed for an empty body, which this request's is not".to_owned());
        }
        let verb = signed.verb.to_lowercase();
        if self.fits(Signed { verb: &verb, ..signed }, self.target, self.host) {
            return (Some("method"), "signed with the method in lower case".to_owned());
        }
        let path = self.target.split('?').next().unwrap_or_default();
        for other in [
            path.to_owned(),
            format!("http://{}{}", self.host, self.target),
            format!("https://{}{}", self.host, self.target),
        ] {
            if self.fits(signed, &other, self.host) {
                return (Some("target"), format!("signed for {other} in place of the path with its query"));
            }
        }
        let told = "no form of the request fits a key of this service. Compare your string to sign with those below: \
                    if one is equal, the key is another one";
        (None, told.to_owned())
    }

    /// Some clients send what they signed; then nothing has to be guessed.
    fn compare_with_sent(&self, signed: Signed<'_>) -> Option<(Option<&'static str>, String)> {
        let sent = STANDARD.decode(self.header(HeaderName::from_static("x-ms-hmac-string-to-sign-base64"))?).ok()?;
        let sent = String::from_utf8(sent).ok()?;
        let (head, hash) = sent.rsplit_once(';')?;
        let (head, host) = head.rsplit_once(';')?;
        let date = head.rsplit_once('\n')?.1;
        let differs = if self.forms(self.host).any(|(target, host)| sent == string_to_sign(signed, &target, &host)) {
            "key"
        } else if hash != signed.content_hash {
            "content hash"
        } else if date != signed.date {
            "date"
        } else if !self.forms(self.host).any(|(_, expected)| host == expected) {
            "host"
        } else {
            "target"
        };
        let told = match differs {
            "key" => "the string to sign is right, so the key is another one",
            _ => "the string to sign in x-ms-hmac-string-to-sign-base64 differs from those below",
        };
        Some((Some(differs), told.to_owned()))
    }

    fn fits(&self, signed: Signed<'_>, target: &str, host: &str) -> bool {
        hmac::verify(self.keyring, signed, host::forms(target, host, self.ports, self.public_hosts)).is_ok()
    }

    fn forms<'b>(
        &'b self,
        host: &'b str,
    ) -> impl Iterator<Item = (std::borrow::Cow<'b, str>, std::borrow::Cow<'b, str>)> {
        host::forms(self.target, host, self.ports, self.public_hosts)
    }

    /// What a host may have been taken for: a name or an address of this machine, without its port,
    /// what a proxy was called by.
    fn other_hosts(&self) -> Vec<String> {
        let bare = self.host.rsplit_once(':').map_or(self.host, |(name, _)| name);
        let mut others = vec![bare.to_owned(), bare.to_lowercase(), self.host.to_lowercase()];
        if let Some(local) = crate::http::local_address(self.req) {
            others.push(local.to_string());
            others.extend(["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{}", local.port())));
        }
        others.extend(["localhost", "127.0.0.1"].map(str::to_owned));
        others.extend(self.header(HeaderName::from_static("x-forwarded-host")).map(str::to_owned));
        others
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.req.headers().get(name).and_then(|value| value.to_str().ok())
    }
}
