//! What a client reads when its request is refused (acs-rooms.md, section 7).

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::explain::Explanation;
use crate::auth::AuthError;
use crate::auth::jwt::SignerError;
use crate::domain::identity::{TokenLifetime, TokenLifetimeError, TokenScope};
use crate::domain::role::Role;
use crate::domain::room_id::RoomIdError;
use crate::domain::room_name::RoomNameError;
use crate::domain::validity::ValidityFault;
use crate::http::{self, body::BodyError, local::NotLocal};
use crate::service::ServiceError;

const MALFORMED: &str = "The request could not be understood by the server due to malformed syntax.";
/// How much of a client's own text an answer repeats.
const REPEATED: usize = 128;

/// Every refusal. What a case displays is the `message` of the answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("{MALFORMED}")]
    Malformed(Vec<Detail>),
    #[error(transparent)]
    RoomId(#[from] RoomIdError),
    #[error(transparent)]
    RoomName(#[from] RoomNameError),
    #[error("The room of that name has other options. Ask for those that it has, or delete it first.")]
    OtherOptions,
    #[error("The parameter live is true or false.")]
    Live,
    #[error("Invalid format for communication identifier.")]
    RawIdOnCreate,
    #[error("Communication identifier {} is not supported.", shortened(.0))]
    RawIdOnUpdate(String),
    #[error("Invalid value for the Participants.")]
    RawIdOnOlderUpdate,
    #[error("The nextLink token is not one that this service gave. Start again from the first page.")]
    PageToken,
    #[error("{0}")]
    Repeatability(&'static str),
    #[error(
        "Repeatability-First-Sent lies outside the time for which a request can be repeated. Send a new request with a new id and date."
    )]
    RepeatabilityWindow,
    #[error("The server cannot find the requested resource.")]
    NotFound,
    #[error("{}", denied(.reason))]
    Denied {
        reason: AuthError,
        /// For a developer, if the service is set to tell.
        explanation: Option<Box<Explanation>>,
    },
    #[error(transparent)]
    NotLocal(#[from] NotLocal),
    #[error("Provided identity doesn't belong to the resource.")]
    IdentityNotOwned,
    #[error("{message}")]
    Validation { message: String, target: Cow<'static, str> },
    #[error("The HTTP resource that matches the request URI '{uri}' does not support the API version '{}'.", shortened(.version))]
    UnsupportedApiVersion { uri: String, version: String },
    #[error("An API version is required, but was not specified. Add the query parameter api-version.")]
    ApiVersionUnspecified,
    #[error("The Content-Type must be {expected}, without a Content-Encoding.")]
    UnsupportedMediaType { expected: &'static str },
    #[error("The body is larger than 1 MiB, the most that this service reads.")]
    PayloadTooLarge,
    #[error("The body did not arrive in time. Send the request again.")]
    RequestTimeout,
    #[error("The service holds as many request bodies as it can for the moment. Try again.")]
    NoMemory,
    #[error("The body broke off before its end.")]
    BodyBroken,
    #[error("There is no WebSocket here.")]
    NoWebSocket,
    #[error("The method is not allowed here. Allowed: {allow}.")]
    MethodNotAllowed { allow: &'static str },
    #[error("The service is not available for the moment. Try again.")]
    Unavailable(#[source] ServiceError),
    #[error("The service has more requests than it can answer in time, and did nothing of this one. Try again.")]
    Overloaded,
    #[error("The server failed. The log has the reason, under the x-ms-request-id of this answer.")]
    Fault(#[source] Fault),
}

/// What failed on our side; for the log.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Service(ServiceError),
    #[error(transparent)]
    Signer(#[from] SignerError),
    #[error("resource without a signing key")]
    NoSigner,
    #[error("an answer can't be rendered: {0}")]
    Render(#[from] serde_json::Error),
    #[error("a handler without what it is put together with")]
    NotPutTogether,
}

/// One reason why a body was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CommunicationErrorDetail)]
pub struct Detail {
    code: &'static str,
    message: Cow<'static, str>,
    target: Cow<'static, str>,
}

impl Detail {
    /// `target` is the member's path in the body, or the name that the service gives it.
    pub fn new(target: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: "BadArgument", message: bounded(message.into()), target: bounded(target.into()) }
    }

    /// A role that is none; `raw_id` is as it came.
    pub fn role(raw_id: &str) -> Self {
        let valid: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        Self::new(
            format!("$.participants.{}.role", shortened(raw_id)),
            format!("Invalid participant role. The valid roles are: {}.", valid.join(", ")),
        )
    }

    /// One of the two ends of a window, on an update.
    pub fn half_a_window() -> Self {
        Self::new("", "validFrom and validUntil should be set together.")
    }

    /// More participants than a roster holds.
    pub fn too_many(max: u32) -> Self {
        Self::new("$.participants", format!("A room has at most {max} participants."))
    }
}

impl From<ValidityFault> for Detail {
    fn from(fault: ValidityFault) -> Self {
        match fault {
            ValidityFault::StartsTooLate => {
                Self::new("ValidFrom", "Value is incorrect or more than 180 days in the future.")
            }
            ValidityFault::EndsInThePast => Self::new("ValidUntil", "The time range end is in the past."),
            ValidityFault::WrongLength => {
                Self::new("ValidUntil", "The time range is incorrect, or larger than 180 days.")
            }
        }
    }
}

/// The body of every refusal.
#[derive(Serialize, ToSchema)]
#[schema(as = CommunicationErrorResponse)]
pub struct ErrorBody<'a> {
    error: ErrorView<'a>,
}

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = CommunicationError)]
pub struct ErrorView<'a> {
    /// What a program matches on.
    code: &'a str,
    /// What a person reads.
    message: String,
    /// The parameter or member that is wrong, where it is one.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Detail]>::is_empty")]
    details: &'a [Detail],
    /// Why a signature was refused; from a service that is set to tell (`--explain-auth`).
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    innererror: Option<&'a Explanation>,
}

impl ApiError {
    /// One of the headers by which a create can be sent again, without the other.
    pub const REPEATABILITY_HALF: Self =
        Self::Repeatability("Repeatability-Request-ID and Repeatability-First-Sent should be sent together.");

    /// The status and the code a client matches on: the one table of both.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed(_)
            | Self::RoomId(_)
            | Self::RoomName(_)
            | Self::Live
            | Self::RawIdOnCreate
            | Self::RawIdOnUpdate(_)
            | Self::RawIdOnOlderUpdate
            | Self::PageToken
            | Self::Repeatability(_)
            | Self::BodyBroken
            | Self::NoWebSocket => (StatusCode::BAD_REQUEST, "BadRequest"),
            Self::RepeatabilityWindow => (StatusCode::PRECONDITION_FAILED, "PreconditionFailed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "NotFound"),
            Self::OtherOptions => (StatusCode::CONFLICT, "Conflict"),
            Self::Denied { .. } => (StatusCode::UNAUTHORIZED, "Denied"),
            Self::NotLocal(_) => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::IdentityNotOwned => (StatusCode::UNAUTHORIZED, "IdentityNotOwned"),
            Self::Validation { .. } => (StatusCode::BAD_REQUEST, "ValidationError"),
            Self::UnsupportedApiVersion { .. } => (StatusCode::BAD_REQUEST, "UnsupportedApiVersion"),
            Self::ApiVersionUnspecified => (StatusCode::BAD_REQUEST, "ApiVersionUnspecified"),
            Self::UnsupportedMediaType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Self::Unavailable(_) | Self::Overloaded | Self::NoMemory => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
            }
            Self::Fault(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        }
    }

    /// What a program matches on.
    pub fn code(&self) -> &'static str {
        self.kind().1
    }

    fn target(&self) -> Option<&str> {
        match self {
            Self::PageToken => Some("nextLink"),
            Self::Live => Some("live"),
            Self::RoomName(_) => Some("name"),
            Self::OtherOptions => Some("options"),
            Self::Validation { target, .. } => Some(target),
            _ => None,
        }
    }

    /// What the client reads.
    pub fn body(&self) -> ErrorBody<'_> {
        let details = match self {
            Self::Malformed(details) => details.as_slice(),
            _ => &[],
        };
        let innererror = match self {
            Self::Denied { explanation, .. } => explanation.as_deref(),
            _ => None,
        };
        let error =
            ErrorView { code: self.code(), message: self.to_string(), target: self.target(), details, innererror };
        ErrorBody { error }
    }

    fn log(&self) {
        match self {
            Self::Fault(fault) => tracing::error!(%fault, "failed"),
            Self::Unavailable(cause) => tracing::debug!(%cause, "not available"), // counted in service::outage
            Self::Denied { reason, explanation } => {
                let found = explanation.as_deref().map(|explanation| shortened(explanation.reason()).into_owned());
                tracing::info!(%reason, kind = reason.kind(), found, "denied");
            }
            refused => tracing::debug!(reason = %refused, "refused"),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        self.log();
        let (status, code) = self.kind();
        let mut response = HttpResponse::build(status);
        response.insert_header(("x-ms-error-code", code));
        match self {
            Self::MethodNotAllowed { allow } => {
                response.insert_header((ALLOW, *allow));
            }
            Self::Unavailable(_) | Self::Overloaded | Self::NoMemory => {
                response.insert_header((RETRY_AFTER, "1"));
            }
            // Not for those who sign: clients that sign are given none by the vendor's service.
            Self::Denied { reason: AuthError::OtherScheme(scheme), .. } if scheme != "HMAC-SHA256" => {
                response.insert_header((WWW_AUTHENTICATE, "HMAC-SHA256"));
            }
            _ => {}
        }
        response.json(self.body())
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::RoomNotFound => Self::NotFound,
            ServiceError::TooManyParticipants { max } => Self::Malformed(vec![Detail::too_many(max)]),
            ServiceError::RepeatDiffers => Self::Repeatability(
                "The Repeatability-Request-ID was used before, with another body or another Repeatability-First-Sent.",
            ),
            ServiceError::OtherOptions => Self::OtherOptions,
            ServiceError::IdentityNotOwned => Self::IdentityNotOwned,
            ServiceError::Unavailable(_) => Self::Unavailable(error),
            ServiceError::Overloaded => Self::Overloaded,
            ServiceError::Fault(_) => Self::Fault(Fault::Service(error)),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::PayloadTooLarge,
            BodyError::TooSlow => Self::RequestTimeout,
            BodyError::Broken => Self::BodyBroken,
            BodyError::WebSocket => Self::NoWebSocket,
            BodyError::NoMemory => Self::NoMemory,
        }
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<TokenLifetimeError> for ApiError {
    fn from(TokenLifetimeError(minutes): TokenLifetimeError) -> Self {
        Self::Validation {
            message: format!(
                "ExpiresInMinutes value {minutes} is invalid. Value must be within the [{}, {}] interval.",
                TokenLifetime::MIN_MINUTES,
                TokenLifetime::MAX_MINUTES
            ),
            target: "ExpiresInMinutes".into(),
        }
    }
}

impl ApiError {
    /// No scopes, in the words of the vendor's service.
    pub fn no_scopes() -> Self {
        let message = format!("Invalid scopes - Scopes field is required. {}", scopes_expected("Scopes"));
        Self::Validation { message, target: "scopes".into() }
    }

    /// Scopes that are missing or none; `target` is the member that names them.
    pub fn scopes(target: &'static str) -> Self {
        Self::Validation { message: scopes_expected(target), target: target.into() }
    }

    /// The same refusal in the words of Identity, which has no details.
    pub fn into_validation(self) -> Self {
        match self {
            Self::Malformed(details) => {
                let (message, target) = details.into_iter().next().map_or_else(
                    || (MALFORMED.to_owned(), Cow::Borrowed("$")),
                    |detail| (detail.message.into_owned(), detail.target),
                );
                Self::Validation { message, target }
            }
            other => other,
        }
    }
}

fn scopes_expected(member: &str) -> String {
    let valid: Vec<&str> = TokenScope::ALL.iter().map(|scope| scope.as_str()).collect();
    format!("{member} must name one or more of: {}.", valid.join(", "))
}

fn denied(reason: &AuthError) -> &'static str {
    match reason {
        AuthError::ContentHash { .. } => "Request 'x-ms-content-sha256' differs from generated content hash.",
        AuthError::UnreadableDate => "The x-ms-date of the request is not an HTTP date.",
        AuthError::Skew { .. } => "The x-ms-date of the request is too far from the server's time.",
        AuthError::BasicIsOff => "This service takes signed requests only.",
        AuthError::BasicInTheOpen => "An access key may be sent over https alone. Use https, or sign the request.",
        AuthError::MissingHeader(_) | AuthError::OtherScheme(_) | AuthError::Signature | AuthError::BasicKey => {
            "Denied by the resource provider."
        }
    }
}

fn shortened(text: &str) -> Cow<'_, str> {
    http::shortened(text, REPEATED)
}

/// The same for a text of ours that repeats some of the client's.
fn bounded(text: Cow<'static, str>) -> Cow<'static, str> {
    match text.char_indices().nth(3 * REPEATED) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text,
    }
}
