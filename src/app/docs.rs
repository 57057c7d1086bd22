//! `GET /docs`: `openapi.yaml` as a page, which needs nothing from outside.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, ServiceConfig};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// What the page may load: its own files. It sets styles by itself, and has its icons in them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page at `/docs/`, and the way to it from `/docs`.
pub fn routes(config: &mut ServiceConfig) {
    // From where the page is, so that it is found behind a proxy's path, too.
    let document = Config::from("../openapi.yaml")
        .use_base_layout()
        .validator_url("none") // which would be somebody else's
        .supported_submit_methods([""; 0]); // a page can't sign requests
    let headers = DefaultHeaders::new()
        .add((CONTENT_SECURITY_POLICY, POLICY))
        .add((REFERRER_POLICY, "no-referrer"))
        .add((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    config.service(
        web::scope("/docs")
            .wrap(headers)
            .route("", web::get().to(page))
            .service(SwaggerUi::new("/{_:.*}").config(document)),
    );
}

async fn page() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "docs/")).finish()
}
