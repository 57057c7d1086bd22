//! Calls and answers of REST, in the client's format (ably-chat.md, sections 1.5 and 4.10).

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LINK, RETRY_AFTER};
use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::{Value, json};

use super::Ably;
use super::auth::{self, Credential, Denied, Presented};
use super::codec::Format;
use super::error::ErrorInfo;
use crate::http::{State, path};

const MESSAGE_PACK: &str = "application/x-msgpack";

/// Renders what came of a call.
pub fn answer<T: Serialize>(req: &HttpRequest, status: StatusCode, outcome: Result<T, ErrorInfo>) -> HttpResponse {
    match outcome {
        Ok(body) => render(req, status, &body, None),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            render(req, status, &json!({ "error": error }), Some(&error))
        }
    }
}

/// Renders a page of a list, with the links to others.
pub fn answer_page<T: Serialize>(req: &HttpRequest, page: Result<(T, Vec<HeaderValue>), ErrorInfo>) -> HttpResponse {
    let (page, links) = match page {
        Ok((page, links)) => (Ok(page), links),
        Err(error) => (Err(error), Vec::new()),
    };
    let mut response = answer(req, StatusCode::OK, page);
    links.into_iter().for_each(|link| response.headers_mut().append(LINK, link));
    response
}

/// An answer for browsers (section 1.5).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T> {
    status_code: u16,
    headers: Value,
    response: &'a T,
}

/// The body alone is looked at by some clients, the headers by others.
fn render(req: &HttpRequest, status: StatusCode, body: &impl Serialize, error: Option<&ErrorInfo>) -> HttpResponse {
    let (format, envelope) = (format_of(req), query(req, "envelope").as_deref() == Some("json"));
    // In an envelope, for browsers, the call succeeds, and the status stands in the body.
    let mut response = HttpResponse::build(if envelope { StatusCode::OK } else { status });
    response.insert_header((CACHE_CONTROL, "no-store"));
    if let Some(error) = error {
        response.insert_header(("X-Ably-Errorcode", error.code.to_string()));
        response.insert_header(("X-Ably-Errormessage", error.message.replace(['\r', '\n'], " ")));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((RETRY_AFTER, "1"));
        }
    }
    if envelope {
        let envelope = Envelope { status_code: status.as_u16(), headers: json!({}), response: body };
        return response.insert_header((CONTENT_TYPE, "application/json")).body(Format::Json.encode(&envelope));
    }
    let kind = if format == Format::Json { "application/json" } else { MESSAGE_PACK };
    response.insert_header((CONTENT_TYPE, kind)).body(format.encode(body))
}

fn format_of(req: &HttpRequest) -> Format {
    let accepted = req.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let asked = query(req, "format");
    match asked.as_deref() {
        Some("msgpack") => Format::MessagePack,
        None if accepted.contains(MESSAGE_PACK) => Format::MessagePack,
        _ => Format::Json,
    }
}

/// The format of a request's body.
pub fn format_of_body(req: &HttpRequest) -> Format {
    let kind = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(MESSAGE_PACK)) {
        Format::MessagePack
    } else {
        Format::Json
    }
}

/// The value of a query parameter.
pub fn query(req: &HttpRequest, name: &str) -> Option<String> {
    query_in(req.query_string(), name)
}

/// The value of a parameter in a query.
pub fn query_in(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

/// A segment of the path as its client meant it: split first, decoded once.
///
/// # Errors
/// It is no text.
pub fn segment(req: &HttpRequest, index: usize) -> Result<String, ErrorInfo> {
    path::segment(req, index).ok_or_else(|| ErrorInfo::malformed("the path is not UTF-8, percent-encoded"))
}

/// What handlers of both protocols share.
///
/// # Errors
/// The service is not put together.
pub fn state(req: &HttpRequest) -> Result<&State, ErrorInfo> {
    req.app_data::<ThinData<State>>().map(|ThinData(state)| state).ok_or_else(ErrorInfo::fault)
}

/// What the caller of REST may do.
///
/// # Errors
/// It shows no credential, or not a good one.
pub async fn credential(req: &HttpRequest) -> Result<Credential, ErrorInfo> {
    let state = state(req)?;
    let ThinData(ably) = req.app_data::<ThinData<Ably>>().ok_or_else(ErrorInfo::fault)?;
    let keys = ably.keys.current();
    auth::judge(state, &keys, &presented(req)?, false).await.map_err(Denied::into_error)
}

fn presented(req: &HttpRequest) -> Result<Presented, ErrorInfo> {
    let mut headers = req.headers().get_all(AUTHORIZATION);
    let told = "show a key (Authorization: Basic) or a token (Authorization: Bearer), in base64";
    match (headers.next(), headers.next(), presented_in(req.query_string())) {
        (Some(header), None, None) => auth::from_header(header.to_str().unwrap_or("")),
        (None, _, in_query) => in_query.ok_or_else(|| ErrorInfo::new(40101, 401, told)),
        (Some(_), _, _) => Ok(Presented::Several),
    }
}

/// A key or a token in the query, as a WebSocket client shows it.
pub fn presented_in(query: &str) -> Option<Presented> {
    let query = form_urlencoded::parse(query.as_bytes());
    let mut shown = query.filter_map(|(name, value)| match &*name {
        "key" => Some(Presented::Key(value.into_owned())),
        "access_token" | "accessToken" => Some(Presented::Token(value.into_owned())),
        _ => None,
    });
    let first = shown.next()?;
    Some(if shown.next().is_none() { first } else { Presented::Several })
}

/// The answer to a method that a path does not have.
pub fn wrong_method(req: &HttpRequest) -> HttpResponse {
    answer::<()>(req, StatusCode::OK, Err(ErrorInfo::new(40500, 405, "there is no such method here")))
}

/// The answer to a path of this protocol that is not served.
pub fn not_found(req: &HttpRequest) -> HttpResponse {
    answer::<()>(req, StatusCode::OK, Err(ErrorInfo::new(40400, 404, "there is nothing here")))
}
