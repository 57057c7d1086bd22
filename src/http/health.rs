//! Whether the process lives, and whether it can work: for probes, without a key.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::web::{self, ServiceConfig, ThinData};
use serde_json::json;

use super::State;
use crate::service;

/// `GET` and `HEAD` of `/health/live` and `/health/ready`.
pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/health/live").route(web::get().to(live)).route(web::head().to(live)));
    config.service(web::resource("/health/ready").route(web::get().to(ready)).route(web::head().to(ready)));
}

/// 200 as long as the process answers at all.
async fn live() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({ "status": "live" }))
}

/// 200 if the database answers, else 503.
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
