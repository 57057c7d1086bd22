//! What the tests stand on.

mod app;
mod database_wire;
pub mod document;
mod live;
mod postgres;

pub use crate::wire::{Answer, KEY, Request, authorization, hash, http_date, sign};
pub use app::{NOW, Setup, TestApp};
pub use database_wire::{RoundTrip, Wire};
pub use live::{LIVE_KEY, Socket, channel, kind, live_mac, live_user, modes, user_token};
pub use postgres::settings as cluster_settings;

pub use actix_web::http::StatusCode;
pub use chrono::TimeDelta;
pub use serde_json::{Value, json};

/// Three users of some resource.
pub const ANN: &str = "8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-0000000000aa";
pub const BOB: &str = "8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-0000000000bb";
pub const CID: &str = "8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-0000000000cc";

/// The n-th of as many users as a test wants.
pub fn user(n: usize) -> String {
    format!("8:acs:11111111-2222-3333-4444-555555555555_00000027-0000-1111-2222-{n:012x}")
}

/// What the malformed-body answers say (acs-rooms.md, section 7).
pub const MALFORMED: &str = "The request could not be understood by the server due to malformed syntax.";
