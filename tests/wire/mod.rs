//! Requests and answers on the wire, for every test that speaks HTTP.
#![allow(dead_code)] // each test program uses its part

mod answer;
mod request;

pub use answer::Answer;
pub use request::{Request, authorization, hash, http_date, sign};

/// The reference's key for test vectors.
pub const KEY: &str = "bWFkZS11cC1rZXktZm9yLXRlc3QtdmVjdG9ycy0wMDE=";
