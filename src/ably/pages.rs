//! Pages of a list over REST: `limit`, and the next page by `Link` (RFC 8288), as Ably's clients follow it.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::ErrorInfo;
use super::rest::query;

const USUAL: usize = 100;
const MOST: usize = 1_000;
/// The parameters that a link repeats, besides the place; credentials are for the client to add.
const REPEATED: [&str; 5] = ["limit", "clientId", "connectionId", "prefix", "by"];

/// A requested page of a list that is sorted by a key.
#[derive(Debug)]
pub struct Page {
    limit: usize,
    /// The key of the last item of the previous page.
    after: Option<String>,
}

impl Page {
    /// Reads the page from the query.
    ///
    /// # Errors
    /// The limit is out of range, or the cursor is not one of a link.
    pub fn read(req: &HttpRequest) -> Result<Self, ErrorInfo> {
        let limit = match query(req, "limit") {
            None => USUAL,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| ErrorInfo::malformed(format!("the limit is a number from 1 to {MOST}")))?,
        };
        let read = |cursor: String| String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok();
        let wrong = || ErrorInfo::malformed("the cursor is not one that a link gave: start from the first page");
        let after = query(req, "cursor").map(|cursor| read(cursor).ok_or_else(wrong)).transpose()?;
        Ok(Self { limit, after })
    }

    /// The items of the page, and the links to it, to the first and to the next one. `all` is in the order of its keys.
    pub fn cut<T>(&self, req: &HttpRequest, all: Vec<T>, key: impl Fn(&T) -> String) -> (Vec<T>, Vec<HeaderValue>) {
        let after = self.after.as_deref();
        let mut rest = all.into_iter().filter(|item| after.is_none_or(|after| *key(item) > *after));
        let page: Vec<T> = rest.by_ref().take(self.limit).collect();
        let last = page.last().filter(|_| rest.next().is_some()).map(&key);
        let mut links = vec![link(req, "first", None), link(req, "current", after)];
        links.extend(last.map(|last| link(req, "next", Some(&last))));
        (page, links.into_iter().flatten().collect())
    }
}

/// Relative, in the form that Ably's clients read.
fn link(req: &HttpRequest, relation: &str, after: Option<&str>) -> Option<HeaderValue> {
    let segment = req.match_info().as_str().rsplit('/').next().unwrap_or_default();
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    for name in REPEATED {
        if let Some(value) = query(req, name) {
            parameters.append_pair(name, &value);
        }
    }
    if let Some(after) = after {
        parameters.append_pair("cursor", &URL_SAFE_NO_PAD.encode(after));
    }
    HeaderValue::from_str(&format!("<./{segment}?{}>; rel=\"{relation}\"", parameters.finish())).ok()
}
