//! What a request costs the service besides the database, in instructions: a gate that no other load on the machine
//! moves, as a timed test would be.
//!
//! The whole app answers, with the log of production: routes, version, body, signature, parsing, the one statement as
//! the service writes and reads it, rendering. HTTP/1 itself is left out, and so is Postgres, which is another process.
//! Valgrind runs this very test program, and counts within [`counted_by_callgrind`] alone. So what is counted is built
//! for development: more in all than in a release, and with other weights. Valgrind knows no instructions for SHA
//! either, and so the portable code is counted. What grows here need not be slow; what is done twice shows.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::pin::Pin;
use std::process::Command;

use actix_web::rt::System;
use actix_web::test::{TestRequest, call_service, init_service};
use roomkeeper::app;
use roomkeeper::clock::Clock;
use roomkeeper::service::Context;
use roomkeeper::store::pool;
use roomkeeper::telemetry;
use sqlx::ConnectOptions as _;
use tokio::task::spawn_blocking;

use tokio_util::sync::CancellationToken;

use crate::support::*;

/// Instructions of each operation, as they were counted last.
const BOUNDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/instructions.json");
/// How far a count may exceed its bound, as a fraction of it: waiting for an answer of the database that has not arrived
/// when it is read takes 3% of a create.
const TOLERANCE: f64 = 0.05;
/// By these, the program under Valgrind knows what to do.
const DATABASE: &str = "INSTRUCTIONS_DATABASE";
const OPERATION: &str = "INSTRUCTIONS_OPERATION";

/// So many are counted, each by itself, after some that prepare their statement and fill what is filled once.
const COUNTED: usize = 40;
const WARM_UP: usize = 3;
const ATTEMPTS: usize = 20;

#[tokio::test]
async fn a_request_costs_no_more_instructions_than_it_did() {
    let app = TestApp::start().await;
    let room = app.room(json!({})).await;
    let url = app.database.to_url_lossy().to_string();

    let operations = [("get", format!("get {room}")), ("create", "create".to_owned())];
    let counts = operations.map(|(name, operation)| (name, count(url.clone(), operation)));
    let mut counted = BTreeMap::new();
    for (name, count) in counts {
        counted.insert(name.to_owned(), count.await.unwrap());
    }

    if variable("UPDATE").is_some() {
        fs::write(BOUNDS, format!("{}\n", serde_json::to_string_pretty(&counted).unwrap())).unwrap();
    }
    let bounds: BTreeMap<String, u64> = serde_json::from_str(&fs::read_to_string(BOUNDS).unwrap()).unwrap();
    let part = |name: &str, count: u64| count as f64 / bounds[name] as f64;
    let told = counted.iter().map(|(name, count)| format!("{name}: {count}, {:.3} of what it was", part(name, *count)));
    let told = told.collect::<Vec<_>>().join("; ");
    println!("instructions of {told}");
    assert!(
        counted.iter().all(|(name, count)| part(name, *count) <= 1.0 + TOLERANCE),
        "instructions of {told}. If it is worth them, or the compiler or the machine is of another kind: \
         `UPDATE=1 cargo test --test api instructions`, which also lowers the bound of what became less."
    );
}

/// Has Valgrind run the test below, and gives the instructions of one request.
fn count(database: String, operation: String) -> tokio::task::JoinHandle<u64> {
    spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--toggle-collect=*counted_by_callgrind", "--dump-after=*counted_by_callgrind"])
            .arg(format!("--callgrind-out-file={}/count", folder.path().display()))
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "instructions::under_valgrind", "--ignored", "--nocapture", "--test-threads=1"])
            .envs([(DATABASE, database), (OPERATION, operation)])
            .output()
            .expect("needed: Debian's package valgrind");
        let told = [output.stdout, output.stderr].map(|told| String::from_utf8_lossy(&told).into_owned());
        assert!(output.status.success(), "{told:?}");
        let counts = (1..=COUNTED).map(|n| {
            let profile = fs::read_to_string(folder.path().join(format!("count.{n}"))).unwrap();
            let total = profile.lines().find_map(|line| line.strip_prefix("totals: "));
            total.unwrap().parse::<u64>().unwrap()
        });
        counts.min().unwrap() // what else happens only adds
    })
}

#[test]
#[ignore = "run by the test above, under Valgrind"]
fn under_valgrind() {
    telemetry::start("info", Some(true)).unwrap();
    let database = pool::options_from_url(&variable(DATABASE).unwrap()).unwrap();
    let operation = variable(OPERATION).unwrap();
    let Setup { settings, max_participants, .. } = Setup::default();
    let ctx = Context::new(pool::pool(database), Clock::standing(NOW.parse().unwrap()), max_participants, 1);
    let system = System::new();
    let service = system.block_on(async {
        let prepare = || app::keys::prepare(&ctx, settings.keys(), settings.named_rooms);
        let keys = until_done(prepare).await;
        let ably = app::ably(&ctx, keys.clone(), &settings);
        init_service(app::app(
            app::state(ctx, &ably, &settings, CancellationToken::new()),
            app::acs(keys, &settings),
            ably,
            &settings,
        ))
        .await
    });
    let answer = async |n| {
        let status = call_service(&service, request(&operation, n).to_request()).await.status();
        if status.is_success() { Ok(()) } else { Err(status) }
    };
    (0..WARM_UP).for_each(|n| system.block_on(until_done(|| answer(n))));
    for n in WARM_UP..WARM_UP + COUNTED {
        let request = request(&operation, n).to_request();
        let answered = async { assert!(call_service(&service, request).await.status().is_success()) };
        counted_by_callgrind(&system, Box::pin(answered));
    }
}

/// Under Valgrind, code that runs for the first time takes so long that the service may give up its database.
async fn until_done<T, E: Debug, F: Future<Output = Result<T, E>>>(attempt: impl Fn() -> F) -> T {
    for _ in 1..ATTEMPTS {
        if let Ok(done) = attempt().await {
            return done;
        }
    }
    attempt().await.unwrap()
}

/// Valgrind knows it by its name, so there is nothing in it that has a name of its own, such as a closure.
#[inline(never)]
fn counted_by_callgrind(system: &actix_web::rt::SystemRunner, work: Pin<Box<dyn Future<Output = ()> + '_>>) {
    system.block_on(work);
}

/// The n-th request of an operation, signed.
fn request(operation: &str, n: usize) -> TestRequest {
    let date = http_date(NOW.parse().unwrap());
    let (method, path, body) = match operation.split_once(' ') {
        Some((_, room)) => ("GET", format!("/rooms/{room}"), String::new()),
        None => {
            let participants = json!({ ANN: { "role": "Presenter" }, BOB: {}, CID: { "role": "Consumer" } });
            ("POST", "/rooms".to_owned(), json!({ "participants": participants }).to_string())
        }
    };
    let target = format!("{path}?api-version=2025-03-13");
    let hash = hash(body.as_bytes());
    let signature = sign(KEY, &format!("{method}\n{target}\n{date};localhost:8080;{hash}"));
    let request = TestRequest::with_uri(&target)
        .method(method.parse().unwrap())
        .insert_header(("Host", "localhost:8080"))
        .insert_header(("x-ms-date", date.as_str()))
        .insert_header(("x-ms-content-sha256", hash))
        .insert_header(("Authorization", authorization(&signature)));
    if body.is_empty() {
        return request;
    }
    request
        .insert_header(("Content-Type", "application/json"))
        .insert_header(("Repeatability-Request-ID", format!("0b8d1b8e-8f3c-4d43-9a3b-{n:012x}")))
        .insert_header(("Repeatability-First-Sent", date))
        .set_payload(body)
}

#[expect(clippy::disallowed_methods, reason = "nobody sets these for the service")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
