//! Whether the process lives, and whether it can work: for probes, without a key.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::web::{self, ServiceConfig, ThinData};
use serde_json::json;
use utoipa::OpenApi;

use super::State;
use crate::service;

/// `GET` and `HEAD` of `/health/live` and `/health/ready`.
pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/health/live").route(web::get().to(live)).route(web::head().to(live)));
    config.service(web::resource("/health/ready").route(web::get().to(ready)).route(web::head().to(ready)));
}

/// The probes' part of `openapi.yaml`.
#[derive(OpenApi)]
#[openapi(paths(live, ready), tags((name = "Health", description = "For probes, without a key.")))]
pub struct Document;

/// 200 as long as the process answers at all.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "Health_Live",
    tag = "Health",
    security(()),
    responses((status = OK, description = "The process lives.", body = Object, example = json!({ "status": "live" }))),
)]
async fn live() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({ "status": "live" }))
}

/// 200 if the database answers, else 503.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "Health_Ready",
    tag = "Health",
    security(()),
    responses(
        (status = OK, description = "The service can work.", body = Object, example = json!({ "status": "ready" })),
        (
            status = SERVICE_UNAVAILABLE,
            description = "The database does not answer.",
            body = Object,
            headers(("Retry-After" = u32, description = "When to try again, in seconds.")),
            example = json!({ "status": "unavailable", "reason": "the database does not answer" }),
        ),
    ),
)]
async fn ready(ThinData(state): ThinData<State>) -> HttpResponse {
    match service::health::ready(&state.ctx).await {
        Ok(()) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({ "status": "ready" })),
        Err(error) => {
            tracing::warn!(error = ?error, "not ready");
            HttpResponse::ServiceUnavailable()
                .insert_header((CACHE_CONTROL, "no-store"))
                .insert_header((RETRY_AFTER, "1"))
                .json(json!({ "status": "unavailable", "reason": "the database does not answer" }))
        }
    }
}
