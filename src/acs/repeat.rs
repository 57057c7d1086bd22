//! The headers by which a create can be sent again (acs-rooms.md, section 3).

use actix_web::HttpRequest;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::error::ApiError;
use crate::service::rooms::{REMEMBERED, Repeat};

/// By what this create is known when it comes again; `None` if it can't.
///
/// # Errors
/// One header without the other, or one that is malformed; a first sending outside the time for which answers are
/// remembered, or further in the future than clocks may differ.
pub fn read(
    req: &HttpRequest,
    body_digest: [u8; 32],
    now: DateTime<Utc>,
    clock_skew: Option<TimeDelta>,
) -> Result<Option<Repeat>, ApiError> {
    let header = |name| req.headers().get(name);
    let (request, first_sent) = match (header("repeatability-request-id"), header("repeatability-first-sent")) {
        (None, None) => return Ok(None),
        (Some(request), Some(first_sent)) => (request, first_sent),
        _ => {
            return Err(ApiError::REPEATABILITY_HALF);
        }
    };
    let request = request
        .to_str()
        .ok()
        .and_then(|text| Uuid::try_parse(text).ok())
        .ok_or(ApiError::Repeatability("Repeatability-Request-ID is not a UUID."))?;
    let first_sent: DateTime<Utc> = first_sent
        .to_str()
        .ok()
        .and_then(|text| httpdate::parse_http_date(text).ok())
        .ok_or(ApiError::Repeatability(
            "Repeatability-First-Sent is not an HTTP date such as Sat, 21 Nov 2026 01:07:52 GMT.",
        ))?
        .into();
    let too_late = clock_skew.is_some_and(|skew| first_sent > now + skew);
    if too_late || first_sent <= now - REMEMBERED {
        return Err(ApiError::RepeatabilityWindow);
    }
    Ok(Some(Repeat { request, first_sent, body_digest }))
}
