//! The segments of a path, as the client meant them.

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

/// A segment of the path: split first, decoded once. `None` if it is no text.
pub fn segment(req: &HttpRequest, index: usize) -> Option<String> {
    let raw = req.uri().path().split('/').nth(index + 1).unwrap_or("");
    percent_decode_str(raw).decode_utf8().ok().map(|text| text.into_owned())
}
