//! What is for this machine alone, and who calls it from elsewhere: by another name, as a page does that has its own
//! name resolved to this machine (DNS rebinding), or from a page of another site.

use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, HeaderValue, ORIGIN};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};

use super::{Refusal, health};
use crate::this_machine;

/// What is kept to this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All but the probes, which reveal nothing: everybody knows the key.
    Service,
    /// The page that gives a token to whoever asks.
    Demo,
}

/// Why a request is refused. The texts are for whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLocal {
    #[error(
        "The development key is for this machine alone: call this service by localhost or 127.0.0.1, or set a key of your own with --access-key."
    )]
    Name,
    #[error(
        "The development key is for pages of this machine alone: serve the page from localhost, name its origin with --cors-origin, or set a key of your own with --access-key."
    )]
    Page,
    #[error(
        "The demo gives a token to whoever asks, and is for this machine alone: call it by localhost or 127.0.0.1, or start the service with --demo-for-anyone."
    )]
    NameOfDemo,
    #[error(
        "The demo gives a token to whoever asks, and is for pages of this machine alone: open it from localhost, name the page's origin with --cors-origin, or start the service with --demo-for-anyone."
    )]
    PageOfDemo,
}

/// Keeps what is for this machine to it.
#[derive(Debug, Clone)]
pub struct Local {
    kept: Kept,
    /// Origins that may call besides those of this machine; `*` is any.
    origins: Arc<[String]>,
}

impl Local {
    pub fn new(kept: Kept, origins: &[String]) -> Self {
        Self { kept, origins: origins.into() }
    }

    /// Checks a request for a path, as routes are found by it: `/%64emo` is `/demo`.
    ///
    /// # Errors
    /// The request is for what is kept to this machine, and comes from elsewhere.
    pub fn check(&self, head: &RequestHead, path: &str) -> Result<(), NotLocal> {
        let is_kept = match self.kept {
            Kept::Service => !health::is_probe(path),
            Kept::Demo => path == "/demo" || path.starts_with("/demo/"),
        };
        if !is_kept {
            return Ok(());
        }
        let (name, page) = match self.kept {
            Kept::Service => (NotLocal::Name, NotLocal::Page),
            Kept::Demo => (NotLocal::NameOfDemo, NotLocal::PageOfDemo),
        };
        if !is_called_by_own_name(head) {
            return Err(name);
        }
        // Programs that are no browsers send none.
        let is_allowed = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| self.allows(origin));
        if head.headers.get_all(ORIGIN).all(is_allowed) { Ok(()) } else { Err(page) }
    }

    fn allows(&self, origin: &str) -> bool {
        this_machine::is_origin(origin) || self.origins.iter().any(|allowed| allowed == "*" || allowed == origin)
    }
}

/// True if every name that a request was sent to is of this machine, and there is one. A request to a proxy
/// has it in the target.
fn is_called_by_own_name(head: &RequestHead) -> bool {
    let headers = head.headers.get_all(HOST).map(|host| host.to_str().unwrap_or_default());
    let mut names = headers.chain(head.uri.authority().map(|authority| authority.as_str())).peekable();
    names.peek().is_some() && names.all(this_machine::is_authority)
}

/// Lets a request through that comes from this machine, and has another refused by `refuse`.
pub async fn keep<B: MessageBody + 'static>(
    local: Option<Local>,
    refuse: fn(&HttpRequest, Refusal) -> HttpResponse,
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match local.map_or(Ok(()), |local| local.check(req.head(), req.match_info().as_str())) {
        Ok(()) => next.call(req).await.map(ServiceResponse::map_into_left_body),
        Err(reason) => {
            let (host, origin) = (req.headers().get(HOST), req.headers().get(ORIGIN));
            tracing::info!(?reason, ?host, ?origin, "refused as not of this machine");
            let answer = refuse(req.request(), Refusal::NotLocal(reason));
            Ok(req.into_response(answer).map_into_right_body())
        }
    }
}
