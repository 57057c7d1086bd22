//! What both protocols share on HTTP.

pub mod body;
pub mod health;
pub mod request_span;

use crate::service::Context;

/// What the handlers of both protocols work with.
#[derive(Clone)]
pub struct State {
    pub ctx: Context,
}
