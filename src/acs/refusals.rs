//! How an operation can be refused: the answers of `openapi.yaml`, with the errors that are answered so as examples.

use actix_web::ResponseError as _;
use chrono::TimeDelta;

use super::body;
use super::error::{ApiError, Detail, Fault};
use crate::auth::AuthError;
use crate::domain::identity::TokenLifetimeError;
use crate::domain::room_id::RoomIdError;
use crate::domain::room_name::RoomNameError;
use crate::domain::validity::ValidityFault;
use crate::http::local::NotLocal;
use crate::service::ServiceError;

const QUARTER: TimeDelta = TimeDelta::minutes(15);

/// One answer, which operations refer to by its name.
pub struct Refusal {
    pub name: &'static str,
    pub when: &'static str,
    /// All of the same status.
    pub examples: Vec<(&'static str, ApiError)>,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> String {
        self.examples.first().map(|(_, error)| error.status_code().as_u16().to_string()).unwrap_or_default()
    }
}

/// Every answer that refuses, by status.
pub fn all() -> Vec<Refusal> {
    vec![
        Refusal {
            name: "BadRequest",
            when: "What the request names can't be: its api-version, a parameter, or something in its body. Nothing was changed.",
            examples: bad_requests(),
        },
        Refusal {
            name: "Denied",
            when: "The signature is missing, fits no access key of the service, or is dated too far from its time: then the \
                   body is not read. Or the body is not the one that was signed; or the user is not one of the resource \
                   (`IdentityNotOwned`).",
            examples: vec![
                ("signature", ApiError::Denied { reason: AuthError::Signature, explanation: None }),
                ("date", ApiError::Denied { reason: AuthError::UnreadableDate, explanation: None }),
                (
                    "clock",
                    ApiError::Denied {
                        reason: AuthError::Skew { ahead: QUARTER, tolerated: QUARTER },
                        explanation: None,
                    },
                ),
                (
                    "body",
                    ApiError::Denied { reason: AuthError::ContentHash { expected: String::new() }, explanation: None },
                ),
                ("user", ApiError::IdentityNotOwned),
            ],
        },
        Refusal {
            name: "Forbidden",
            when: "The service runs with the development key, which is for this machine alone, and was called by a name \
                   that is not of this machine, or by a page of another site.",
            examples: vec![("name", NotLocal::Name.into()), ("page", NotLocal::Page.into())],
        },
        Refusal { name: "NotFound", when: "There is no such room.", examples: vec![("room", ApiError::NotFound)] },
        Refusal {
            name: "Conflict",
            when: "There is a room of that name, with other options.",
            examples: vec![("options", ApiError::OtherOptions)],
        },
        Refusal {
            name: "RequestTimeout",
            when: "The body did not arrive within 30 seconds.",
            examples: vec![("body", ApiError::RequestTimeout)],
        },
        Refusal {
            name: "PreconditionFailed",
            when: "`Repeatability-First-Sent` lies outside the 24 hours for which answers are remembered.",
            examples: vec![("date", ApiError::RepeatabilityWindow)],
        },
        Refusal {
            name: "PayloadTooLarge",
            when: "The body is larger than 1 MiB. Where its length is declared, this is told before the signature is checked; \
                   of a body in chunks only if the signature is good.",
            examples: vec![("body", ApiError::PayloadTooLarge)],
        },
        Refusal {
            name: "UnsupportedMediaType",
            when: "The body is of another media type, or compressed.",
            examples: vec![
                ("body", ApiError::UnsupportedMediaType { expected: body::JSON }),
                ("patch", ApiError::UnsupportedMediaType { expected: body::JSON_TO_PATCH }),
            ],
        },
        Refusal {
            name: "InternalServerError",
            when: "A fault of the service.",
            examples: vec![("fault", ApiError::Fault(Fault::NoSigner))],
        },
        Refusal {
            name: "ServiceUnavailable",
            when: "The database is away, or the service overloaded.",
            examples: vec![
                ("database", ApiError::Unavailable(ServiceError::Unavailable(None))),
                ("overloaded", ApiError::Overloaded),
                ("bodies", ApiError::NoMemory),
            ],
        },
    ]
}

fn bad_requests() -> Vec<(&'static str, ApiError)> {
    let window = Detail::from(ValidityFault::EndsInThePast);
    let role = Detail::role("8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-333333333333");
    let (uri, version) = ("/rooms".to_owned(), "2020-01-01".to_owned());
    vec![
        ("body", ApiError::Malformed(vec![window, role])),
        ("tooManyParticipants", ApiError::Malformed(vec![Detail::too_many(350)])),
        ("roomIdLength", RoomIdError::Length.into()),
        ("roomId", RoomIdError::NotDigits.into()),
        ("roomName", RoomNameError::Id.into()),
        ("live", ApiError::Live),
        ("rawIdOnCreate", ApiError::RawIdOnCreate),
        ("rawIdOnUpdate", ApiError::RawIdOnUpdate("8:acs:nobody".to_owned())),
        ("rawIdOnUpdateBefore2025", ApiError::RawIdOnOlderUpdate),
        ("scopes", ApiError::scopes("Scopes")),
        ("expiresInMinutes", TokenLifetimeError(5).into()),
        ("nextLink", ApiError::PageToken),
        ("repeatability", ApiError::REPEATABILITY_HALF),
        ("repeatedOtherwise", ServiceError::RepeatDiffers.into()),
        ("noApiVersion", ApiError::ApiVersionUnspecified),
        ("unsupportedApiVersion", ApiError::UnsupportedApiVersion { uri, version }),
        ("webSocket", ApiError::NoWebSocket),
        ("brokenOff", ApiError::BodyBroken),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_an_answer_have_its_status() {
        for refusal in all() {
            for (name, error) in &refusal.examples {
                assert_eq!(error.status_code().as_u16().to_string(), refusal.status(), "{name}");
            }
        }
    }
}
