//! `GET /docs`: `openapi.yaml` as a page, which needs nothing from outside.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, Path, ServiceConfig};
use utoipa_swagger_ui::Config;

use crate::acs;
use crate::http::get;

/// What the page may load: its own files. It sets styles by itself, and has its icons in them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page at `/docs/`, and the way to it from `/docs`.
pub fn routes(config: &mut ServiceConfig) {
    let headers = DefaultHeaders::new()
        .add((CONTENT_SECURITY_POLICY, POLICY))
        .add((REFERRER_POLICY, "no-referrer"))
        .add((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    config.service(web::scope("/docs").wrap(headers).route("", get().to(page)).route("/{file:.*}", get().to(file)));
}

/// Opens the document in the page, and signs what it sends.
const INITIALIZER: &str = include_str!("docs/initializer.js");

/// A file of the page: our initializer, or one of the crate's files, most of which are compressed.
async fn file(path: Path<String>) -> HttpResponse {
    if *path == "swagger-initializer.js" {
        return HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(INITIALIZER);
    }
    match utoipa_swagger_ui::serve(&path, Arc::new(Config::default())) {
        Ok(Some(file)) => {
            let mut answer = HttpResponse::Ok();
            if file.gzpipped {
                answer.insert_header((CONTENT_ENCODING, "gzip"));
            }
            answer.content_type(file.content_type).body(file.bytes.into_owned())
        }
        Ok(None) => acs::not_found(),
        Err(error) => {
            tracing::error!(%error, "a file of the page can't be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

async fn page() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "docs/")).finish()
}
