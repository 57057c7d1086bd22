//! The segments of a path, as the client meant them.

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

/// A segment of the path: split first, decoded once. `None` if it is no text.
pub fn segment(req: &HttpRequest, index: usize) -> Option<String> {
    // A base URL that ends in a slash doubles it.
    let raw = req.uri().path().trim_start_matches('/').split('/').nth(index).unwrap_or("");
    percent_decode_str(raw).decode_utf8().ok().map(|text| text.into_owned())
}
