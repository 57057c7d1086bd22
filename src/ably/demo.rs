//! `GET /demo`: a page that enters live rooms with the vendor's own packages, and tokens for it. Only where it is asked for.

use std::future::ready;
use std::path::Path;
use std::{fs, io};

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, Bytes, ServiceConfig, ThinData};
use actix_web::{HttpRequest, HttpResponse};

use super::Ably;
use super::error::ErrorInfo;
use super::{rest, tokens};
use crate::http::{State, get};
use crate::service::keys::DEFAULT_RESOURCE;

/// The browser builds, as they are in their packages; neither wants a bundler, nor anything else but the other.
const ABLY: &str = "node_modules/ably/build/ably.min.js";
const CHAT: &str = "node_modules/@ably/chat/dist/chat/ably-chat.umd.cjs";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page, with the builds that it loads.
#[derive(Debug, Clone)]
pub struct Demo {
    ably: Bytes,
    chat: Bytes,
}

/// A build is not where it should be.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {error}: fetch the packages with: npm ci --prefix {folder}")]
pub struct NoBuild {
    file: String,
    folder: String,
    error: io::Error,
}

impl Demo {
    /// Reads the builds from the packages in a folder.
    ///
    /// # Errors
    /// One of them can't be read.
    pub fn read(folder: &Path) -> Result<Self, NoBuild> {
        let read = |build: &str| {
            let file = folder.join(build);
            let told =
                |error| NoBuild { file: file.display().to_string(), folder: folder.display().to_string(), error };
            fs::read(&file).map(Bytes::from).map_err(told)
        };
        Ok(Self { ably: read(ABLY)?, chat: read(CHAT)? })
    }

    /// The page, what it loads, and its tokens.
    pub fn routes(&self, config: &mut ServiceConfig) {
        let file = |kind: &'static str, content: Bytes| {
            get().to(move || ready(HttpResponse::Ok().insert_header((CONTENT_TYPE, kind)).body(content.clone())))
        };
        let own = |kind, content: &'static str| file(kind, Bytes::from_static(content.as_bytes()));
        let headers = DefaultHeaders::new()
            .add((CACHE_CONTROL, "no-cache"))
            .add((REFERRER_POLICY, "no-referrer"))
            .add((X_CONTENT_TYPE_OPTIONS, "nosniff"));
        config.service(
            web::scope("/demo")
                .wrap(headers)
                .route("", get().to(page))
                .route("/", get().to(page))
                .route("/page.css", own("text/css; charset=utf-8", include_str!("demo/page.css")))
                .route("/page.js", own(SCRIPT, include_str!("demo/page.js")))
                .route("/icon.svg", own("image/svg+xml", include_str!("demo/icon.svg")))
                .route("/ably.js", file(SCRIPT, self.ably.clone()))
                .route("/chat.js", file(SCRIPT, self.chat.clone()))
                .route("/token", get().to(token)),
        );
    }
}

async fn page(req: HttpRequest) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_SECURITY_POLICY, policy(&req)))
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .body(include_str!("demo/page.html"))
}

/// What the page may load: its own files. Not every browser counts a WebSocket to the page's own host among them.
fn policy(req: &HttpRequest) -> String {
    let connection = req.connection_info(); // a request to a proxy has it in its target
    let host = connection.host();
    let is_plain = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".:-[]".contains(c));
    let sockets = if is_plain { format!(" ws://{host} wss://{host}") } else { String::new() };
    format!(
        "default-src 'self'; connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// A token for whoever asks, in the name that it asks for.
async fn token(req: HttpRequest, ThinData(state): ThinData<State>, ThinData(ably): ThinData<Ably>) -> HttpResponse {
    let issue = || {
        let name = rest::query(&req, "name").filter(|name| !name.trim().is_empty() && name != "*");
        let name = name.ok_or_else(|| ErrorInfo::malformed("say whom the token is for: /demo/token?name=ann"))?;
        let keys = ably.keys.current();
        let key = keys.access.find(&format!("{DEFAULT_RESOURCE}.primary")).ok_or_else(ErrorInfo::fault)?;
        let capability = r#"{"*":["publish","subscribe","presence","channel-metadata"]}"#;
        tokens::issue(key, Some(name), capability.to_owned(), tokens::USUAL_TTL, state.ctx.clock.now())
    };
    rest::answer(&req, StatusCode::OK, issue())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::named_by_a_header(TestRequest::get().insert_header(("host", "nas:8080")), "'self' ws://nas:8080 wss://nas:8080")]
    #[case::named_in_the_target(TestRequest::get().uri("https://[::1]:8443/demo"), "'self' ws://[::1]:8443 wss://[::1]:8443")]
    #[case::no_host(TestRequest::get().insert_header(("host", "a;script-src *")), "'self'")]
    fn the_page_may_reach_its_own_host_alone(#[case] request: TestRequest, #[case] wanted: &str) {
        let policy = policy(&request.to_http_request());

        assert_eq!(policy.split("; ").nth(1), Some(&*format!("connect-src {wanted}")));
    }
}
