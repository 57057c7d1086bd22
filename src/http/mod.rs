//! What both protocols share on HTTP.

pub mod body;
pub mod doors;
pub mod health;
pub mod local;
pub mod order;
pub mod path;
pub mod request_span;
pub mod watch;

use std::sync::Arc;

use crate::realtime::Hub;
use crate::service::Context;
use crate::service::changes::Told;

/// What the handlers of both protocols work with.
#[derive(Clone)]
pub struct State {
    pub ctx: Context,
    pub hub: Arc<Hub>,
    /// For the other replicas.
    pub told: Told,
}

impl State {
    /// The same, for one of so many threads.
    pub fn for_one_of(&self, threads: usize) -> Self {
        Self { ctx: self.ctx.for_one_of(threads), ..self.clone() }
    }
}
