//! Whether the process lives, and whether it can work: for probes, without a key.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::web::{self, ServiceConfig, ThinData};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::{State, get};
use crate::service;

/// `GET` and `HEAD` of `/health/live` and `/health/ready`.
pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/health/live").route(get().to(live)));
    config.service(web::resource("/health/ready").route(get().to(ready)));
}

/// True for a path that is answered to probes, by whatever name they call.
pub fn is_probe(path: &str) -> bool {
    matches!(path, "/health/live" | "/health/ready")
}

/// The probes' part of `openapi.yaml`.
#[derive(OpenApi)]
#[openapi(paths(live, ready), tags((name = "Health", description = "For probes, without a key.")))]
pub struct Document;

/// What a probe reads.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    status: Status,
    /// Why it is not ready.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// By how many milliseconds the database's clock is ahead of this machine's, as measured last: beyond a minute
    /// nothing is deleted.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none", rename = "clockSkewMs")]
    clock_skew_ms: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HealthStatus)]
#[serde(rename_all = "lowercase")]
enum Status {
    Live,
    Ready,
    Unavailable,
}

/// 200 as long as the process answers at all, but 503 once it is stopping.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "Health_Live",
    tag = "Health",
    security(()),
    responses(
        (
            status = OK,
            description = "The process lives.",
            body = Health,
            headers(("Cache-Control" = String, description = "`no-store`")),
            example = json!({ "status": "live" }),
        ),
        (
            status = SERVICE_UNAVAILABLE,
            description = "The service is stopping.",
            body = Health,
            headers(
                ("Cache-Control" = String, description = "`no-store`"),
                ("Retry-After" = u32, description = "When to try again, in seconds."),
            ),
            example = json!({ "status": "unavailable", "reason": "the service is stopping" }),
        ),
    ),
)]
async fn live(ThinData(state): ThinData<State>) -> HttpResponse {
    if state.draining.is_cancelled() {
        return stopping();
    }
    answer(StatusCode::OK, Health { status: Status::Live, reason: None, clock_skew_ms: None })
}

/// 200 if writes succeed, else 503.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "Health_Ready",
    tag = "Health",
    security(()),
    responses(
        (
            status = OK,
            description = "The service can work.",
            body = Health,
            headers(("Cache-Control" = String, description = "`no-store`")),
            example = json!({ "status": "ready", "clockSkewMs": 2 }),
        ),
        (
            status = SERVICE_UNAVAILABLE,
            description = "The database does not answer, or refuses writes; or more than half of the writes of the last 10 s failed; or the service is stopping.",
            body = Health,
            headers(
                ("Cache-Control" = String, description = "`no-store`"),
                ("Retry-After" = u32, description = "When to try again, in seconds."),
            ),
            example = json!({ "status": "unavailable", "reason": "the database refuses writes: cannot execute INSERT in a read-only transaction (25006)" }),
        ),
    ),
)]
async fn ready(ThinData(state): ThinData<State>) -> HttpResponse {
    if state.draining.is_cancelled() {
        return stopping();
    }
    let clock_skew_ms = state.ctx.skew.millis();
    match service::health::ready(&state.ctx).await {
        Ok(()) => answer(StatusCode::OK, Health { status: Status::Ready, reason: None, clock_skew_ms }),
        Err(error) => {
            let reason = Some(error.to_string());
            answer(StatusCode::SERVICE_UNAVAILABLE, Health { status: Status::Unavailable, reason, clock_skew_ms })
        }
    }
}

/// Tells proxies to send new connections elsewhere, for REST and live rooms alike.
fn stopping() -> HttpResponse {
    let reason = Some("the service is stopping".to_owned());
    answer(StatusCode::SERVICE_UNAVAILABLE, Health { status: Status::Unavailable, reason, clock_skew_ms: None })
}

fn answer(code: StatusCode, health: Health) -> HttpResponse {
    let mut answer = HttpResponse::build(code);
    answer.insert_header((CACHE_CONTROL, "no-store"));
    if code == StatusCode::SERVICE_UNAVAILABLE {
        answer.insert_header((RETRY_AFTER, "1"));
    }
    answer.json(health)
}
