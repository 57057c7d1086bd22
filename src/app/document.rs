//! `openapi.yaml`: every operation of the service, made from the code that serves it.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use chrono::{DateTime, NaiveDate};
use utoipa::OpenApi;

use crate::acs;
use crate::http::health;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Roomkeeper",
        description = "Rooms for backends: the Rooms API of Azure Communication Services, and of its Identity API what \
                       rooms need.\n\nRequests are signed with an access key. A body is JSON of at most 1 MiB, and has \
                       30 seconds to arrive. Every refusal has a body with a code for programs, which stands in the \
                       header `x-ms-error-code` too, and a message for people. A path that is not here is answered \
                       with 404 (`NotFound`), a method that is not here with 405 (`MethodNotAllowed`) and the header \
                       `Allow`; 503 is worth another try after as many seconds as `Retry-After` says.",
        license(name = "not decided yet", identifier = "LicenseRef-undecided"),
    ),
    servers((url = "/", description = "Where this document was served from.")),
)]
struct Service;

/// The file's text.
///
/// # Errors
/// It can't be written as YAML, which a test rules out.
pub fn yaml() -> Result<String, String> {
    let mut document = Service::openapi();
    document.merge(acs::Document::openapi());
    document.merge(health::Document::openapi());
    document.to_yaml().map(|text| quote_dates(&text)).map_err(|e| e.to_string())
}

/// Versions look like dates, and readers of YAML 1.1 would take them for some, and examples of instants too.
fn quote_dates(text: &str) -> String {
    let is_date = |word: &str| word.parse::<NaiveDate>().is_ok() || DateTime::parse_from_rfc3339(word).is_ok();
    let quoted = |line: &str| match line.rsplit_once(' ') {
        Some((before, word)) if before.ends_with([':', '-']) && is_date(word) => format!("{before} '{word}'\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(quoted).collect()
}

/// `GET /openapi.yaml`.
pub async fn get() -> HttpResponse {
    static TEXT: LazyLock<Result<String, String>> = LazyLock::new(yaml);
    match &*TEXT {
        Ok(text) => HttpResponse::Ok().content_type("application/yaml").body(text.as_str()),
        Err(error) => {
            tracing::error!(error, "the document can't be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
