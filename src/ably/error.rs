//! What a client reads when something is refused (ably-chat.md, section 5: error codes by place).

use std::borrow::Cow;

use serde::Serialize;

use crate::auth::client_token::TokenError;
use crate::domain::door::Refused;
use crate::http::local::NotLocal;
use crate::realtime::{NotResumed, Refusal};

/// A code that programs go by, an HTTP status, and a text that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorInfo {
    pub code: u32,
    pub status_code: u16,
    pub message: Cow<'static, str>,
}

impl ErrorInfo {
    /// Any refusal.
    pub fn new(code: u32, status_code: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status_code, message: message.into() }
    }

    /// What can't be understood.
    pub fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(40000, 400, message)
    }

    /// A credential that is none.
    pub fn malformed_credential(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(40005, 400, message)
    }

    /// A key that does not open anything; the same for every reason.
    pub fn bad_key() -> Self {
        Self::new(40101, 401, "the key is not one of this service: check its name and its secret")
    }

    /// A client id that is not the credential's.
    pub fn other_client() -> Self {
        Self::new(40102, 401, "the client id is not the one that the credential is for")
    }

    /// What the credential does not cover.
    pub fn not_capable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(40160, 401, message)
    }

    /// A token that was good; the client fetches a new one.
    pub fn token_expired() -> Self {
        Self::new(40142, 401, "Token expired")
    }

    /// A token that was taken back.
    pub fn token_revoked() -> Self {
        Self::new(40141, 401, "the token was revoked, or its user deleted: get a new one")
    }

    /// A call from elsewhere to what is for this machine alone.
    pub fn not_local(reason: NotLocal) -> Self {
        Self::new(40300, 403, reason.to_string())
    }

    /// A client that has as many connections as it may.
    pub fn too_many_connections(most: usize) -> Self {
        Self::new(42910, 429, format!("one client has at most {most} connections: close others, or try again later"))
    }

    /// More requests come than the service can answer in time.
    pub fn overloaded() -> Self {
        let told = "the service has more requests than it can answer in time, and did nothing of this one: try again";
        Self::new(50003, 503, told)
    }

    /// The service can't work for the moment.
    pub fn unavailable() -> Self {
        Self::new(50003, 503, "the service is not available for the moment: try again")
    }

    /// A fault of ours; the log says more.
    pub fn fault() -> Self {
        Self::new(50000, 500, "the service failed: the log has the reason")
    }

    /// A token that is not taken. `on_connection`, a new one is fetched once, which helps when keys
    /// were changed; on REST the client would fetch and repeat without an end (section 2.6).
    pub fn token(error: TokenError, on_connection: bool) -> Self {
        match error {
            // Another token would be of the same scope.
            TokenError::Scope => Self::not_capable(error.to_string()),
            _ if on_connection => Self::new(40144, 401, error.to_string()),
            _ => Self::new(40101, 401, error.to_string()),
        }
    }
}

impl From<Refusal> for ErrorInfo {
    fn from(refusal: Refusal) -> Self {
        let (code, status) = match &refusal {
            Refusal::NotAttached | Refusal::InsideByOtherName => (90001, 400),
            Refusal::NotGranted(_) => (40160, 401),
            Refusal::TooManyRooms(_) => (90010, 400),
            Refusal::TooManyMembers(_) => (91003, 400),
            Refusal::TooMuchPresenceData => (91006, 400),
            Refusal::NoClientId => (91000, 400),
            Refusal::OtherClientId => (40012, 400),
            Refusal::TooLarge(_) => (40009, 413),
            Refusal::TooFast(_) => (42911, 429),
            Refusal::TooFastInRoom(_) => (42913, 429),
            Refusal::AnsweredLongAgo | Refusal::Malformed(_) => (40000, 400),
        };
        Self::new(code, status, refusal.to_string())
    }
}

/// Codes of ours, beside the vendor's 40300: why a managed room does not let somebody in. None is in
/// the range that makes a client fetch a token.
impl From<Refused> for ErrorInfo {
    fn from(refused: Refused) -> Self {
        let (code, status) = match refused {
            Refused::NoSuchRoom => (40400, 404),
            Refused::NotOnRoster => (40320, 403),
            Refused::NotYetOpen { .. } => (40321, 403),
            Refused::Over => (40322, 403),
            Refused::NoNamedRooms => (40323, 403),
        };
        Self::new(code, status, refused.to_string())
    }
}

impl From<NotResumed> for ErrorInfo {
    fn from(reason: NotResumed) -> Self {
        match reason {
            NotResumed::Unknown => Self::new(80008, 400, "Unable to recover connection"),
            NotResumed::WrongKey => Self::new(80018, 400, "the connection key is not one of this client's connections"),
        }
    }
}
