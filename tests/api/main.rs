//! The service through HTTP: a real server on a real Postgres, a database and a standing clock for each test.

mod auth;
mod batches;
mod bodies;
mod close_codes;
mod cors;
mod credentials;
mod demo;
mod docs;
mod document;
mod doors;
mod errors;
mod explain;
mod health;
mod identities;
mod instructions;
mod issuers;
mod listing;
mod live;
mod live_outage;
mod local;
mod malformed;
mod named;
mod order;
mod outage;
mod participants;
mod repeat;
mod rooms;
mod round_trips;
mod signing_keys;
mod sockets;
mod support;
mod sweeper;
mod token_requests;
mod validity;
#[path = "../wire/mod.rs"]
mod wire;
