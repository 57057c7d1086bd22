//! Credentials as bytes; no HTTP.

pub mod client_token;
pub mod hmac;
pub mod jwt;
pub mod keyring;
pub mod keys;
pub mod members;
pub mod token_request;

use chrono::TimeDelta;

/// Why a signed request was refused. The texts are for the log, and hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("the header `{0}` is missing, there twice, or not readable")]
    MissingHeader(&'static str),
    #[error(
        "the Authorization header is of {0}, and not `HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=<base64>`"
    )]
    OtherScheme(String),
    #[error("x-ms-content-sha256 is not the hash of the body, which is {expected}")]
    ContentHash { expected: String },
    #[error("HTTP Basic is off (--basic-auth)")]
    BasicIsOff,
    #[error("HTTP Basic came over plain HTTP, and not from this machine")]
    BasicInTheOpen,
    #[error("no key has the name and the text that came by HTTP Basic")]
    BasicKey,
    #[error("the signature fits no key of this service, for no form of this request")]
    Signature,
    #[error("x-ms-date is not a date such as `Sat, 21 Nov 2026 01:07:52 GMT`")]
    UnreadableDate,
    #[error("x-ms-date is {} s {} this server's clock, and at most {} s are tolerated", .ahead.abs().num_seconds(), if .ahead > &TimeDelta::zero() { "ahead of" } else { "behind" }, .tolerated.num_seconds())]
    Skew { ahead: TimeDelta, tolerated: TimeDelta },
}

impl AuthError {
    /// By what the log counts such refusals.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MissingHeader(name) => name,
            Self::OtherScheme(_) => "scheme",
            Self::BasicIsOff | Self::BasicInTheOpen | Self::BasicKey => "basic",
            Self::ContentHash { .. } => "content hash",
            Self::Signature => "signature",
            Self::UnreadableDate => "date",
            Self::Skew { .. } => "clock",
        }
    }
}
