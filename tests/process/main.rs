//! The run contract (design, section 1), held by the real binary in processes of its own.

mod cluster;
mod configuration;
mod crash;
mod drain;
mod haproxy;
mod health;
mod instructions;
mod keys;
mod lifecycle;
mod log;
mod memory;
mod outage;
mod pgbouncer;
mod reload;
mod replicas;
mod secrets;
mod service;
mod sign;
mod tls;
#[path = "../wire/mod.rs"]
mod wire;
