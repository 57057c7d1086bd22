//! What is asked: whole requests, signed before anything is measured, whose ids and bodies vary.

use chrono::{SecondsFormat, TimeDelta};
use rand::RngExt as _;
use roomkeeper::clock::Clock;
use uuid::Builder;

use crate::operation::Operation;
use crate::pages::{self, DeepPage};
use crate::processes::{Result, Service};
use crate::rooms::{self, Rooms};
use crate::signing::Signer;
use crate::users;

/// So many requests of an operation; a delete is of the rooms from `doomed` on, each once.
pub fn signed(
    service: &Service,
    rooms: &Rooms,
    page: &DeepPage,
    operation: Operation,
    count: usize,
    doomed: i64,
) -> Result<Vec<Vec<u8>>> {
    let signer = Signer::new(service)?;
    let mut random = rand::rng();
    let start = random.random_range(0..rooms.count);
    // Each room's turn comes once all others had theirs: so those in flight are in different rooms. pgbench does the same.
    let room = |n: usize| rooms::FIRST + (start + n as i64) * 7_919 % rooms.count;
    let sign = |n: usize| match part(operation, n) {
        Operation::Get => signer.request("GET", &path(room(n), ""), "", ""),
        Operation::ListFirst => signer.request("GET", pages::FIRST, "", ""),
        Operation::List200th => signer.request("GET", &page.target, "", ""),
        Operation::Update => signer.request("PATCH", &path(room(n), ""), PATCH, &another_window()),
        Operation::Patch1 | Operation::Patch50 => {
            let group = rand::rng().random_range(100..=operation.last_group()).to_string();
            let body = users::body(&group, operation.patched());
            signer.request("PATCH", &path(room(n), "/participants"), PATCH, &body)
        }
        Operation::Delete => signer.request("DELETE", &path(doomed + n as i64, ""), "", ""),
        Operation::Create0 | Operation::Create3 | Operation::Create50 | Operation::Mixed => {
            let id = Builder::from_random_bytes(rand::rng().random()).into_uuid();
            let headers = format!(
                "Repeatability-Request-ID: {id}\r\nRepeatability-First-Sent: {}\r\n\
                 Content-Type: application/json\r\n",
                signer.date
            );
            let group = rand::rng().random_range(100..1000).to_string();
            signer.request("POST", pages::FIRST, &headers, &users::body(&group, operation.roster()))
        }
    };
    Ok((0..count).map(sign).collect())
}

/// What the n-th request is, where they are of several kinds.
fn part(operation: Operation, n: usize) -> Operation {
    match (operation, n % 10) {
        (Operation::Mixed, 0) => Operation::Create3,
        (Operation::Mixed, 5) => Operation::Patch1,
        (Operation::Mixed, _) => Operation::Get,
        _ => operation,
    }
}

const PATCH: &str = "Content-Type: application/merge-patch+json\r\n";

fn path(room: i64, rest: &str) -> String {
    format!("/rooms/{room}{rest}?api-version=2025-03-13")
}

fn another_window() -> String {
    let from = Clock::system().now();
    let until = from + TimeDelta::days(rand::rng().random_range(1..=170));
    let text = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    format!(r#"{{"validFrom":"{}","validUntil":"{}"}}"#, text(from), text(until))
}
