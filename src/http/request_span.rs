//! What the log says of each request: one span, in which all that it causes is logged.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};

/// A span with the request's id, method and path. The query is left out: page tokens and, on the
/// other surface, keys stand there.
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(req: &ServiceRequest) -> Span {
        let id = actix_web::HttpMessage::extensions(req).get::<RequestId>().map(ToString::to_string);
        tracing::info_span!("request", id, method = req.method().as_str(), path = req.path())
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
