//! What both protocols share on HTTP.

pub mod body;
pub mod doors;
pub mod health;
pub mod request_span;

use std::sync::Arc;

use crate::realtime::Hub;
use crate::service::Context;

/// What the handlers of both protocols work with.
#[derive(Clone)]
pub struct State {
    pub ctx: Context,
    pub hub: Arc<Hub>,
}
