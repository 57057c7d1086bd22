//! What the log says of each request: one span, in which all that it causes is logged.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};

use super::shortened;

/// How much of a path and of a method stands in the log, in characters.
const LONGEST_PATH: usize = 200;
const LONGEST_METHOD: usize = 20;

/// A span with the request's id, method and path. The query is left out: page tokens and, on the
/// other surface, keys stand there. Method and path are cut, as clients choose them.
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(req: &ServiceRequest) -> Span {
        let id = actix_web::HttpMessage::extensions(req).get::<RequestId>().map(ToString::to_string);
        let method = shortened(req.method().as_str(), LONGEST_METHOD);
        let path = shortened(req.path(), LONGEST_PATH);
        tracing::info_span!("request", id, method = &*method, path = &*path)
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        // Of the span it would be read and written anew, for each request, whatever the log shows.
        tracing::debug!(parent: &span, status = status.as_u16(), "answered");
    }
}
