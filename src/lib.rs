//! Roomkeeper: a rooms service on Postgres. `README.md` says what it does, `CONTRIBUTING.md` how it is built.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // outside tests: clippy.toml

pub mod ably;
pub mod acs;
pub mod app;
pub mod auth;
pub mod budget;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod endpoint;
pub mod http;
pub mod jobs;
pub mod net;
pub mod realtime;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod this_machine;
pub mod tls;
