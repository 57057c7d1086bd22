//! `openapi.yaml`: every operation of the service, made from the code that serves it.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use utoipa::OpenApi;

use crate::acs;
use crate::http::health;

/// Rooms for backends: the Rooms API of Azure Communication Services, and of its Identity API what rooms need.
#[derive(OpenApi)]
#[openapi(
    info(title = "Roomkeeper", license(name = "not decided yet", identifier = "LicenseRef-undecided")),
    servers((url = "http://127.0.0.1:8080", description = "As the service listens unless it is told otherwise.")),
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

/// Versions look like dates, and readers of YAML 1.1 would take them for some.
fn quote_dates(text: &str) -> String {
    let quoted = |line: &str| {
        let at = line.rfind(' ').map_or(0, |blank| blank + 1);
        let word = &line[at..];
        let is_date = word.len() == 10
            && word.bytes().enumerate().all(|(i, b)| match i {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            });
        if is_date { format!("{}'{word}'\n", &line[..at]) } else { format!("{line}\n") }
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
