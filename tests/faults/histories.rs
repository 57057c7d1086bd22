//! Histories of rooms that several clients change over two instances, while those and the database are killed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use roomkeeper::clock::Clock;
use serde_json::json;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::database::Database;
use crate::ledger::{request, values};
use crate::linearizable::{Operation, Outcome, Record, is_linearizable};
use crate::processes::Instance;
use crate::wire::{Answer, http_date};

/// Rooms of a history, each checked by itself; clients of a room, and what each of them does.
const ROOMS: usize = 4;
const CLIENTS: usize = 4;
const OPERATIONS: usize = 14;
const USERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(3);

fn user(number: usize) -> String {
    format!("8:acs:{}_{}", Uuid::from_u128(0xfb), Uuid::from_u128(number as u128))
}

/// Sends an operation on a room, and reads what came of it.
async fn send(address: SocketAddr, room: &str, operation: Operation) -> Record {
    let participants = format!("{room}/participants");
    let request = match &operation {
        Operation::Create => unreachable!("it has no room yet"),
        Operation::Get => request(address, "GET", room),
        Operation::Update { flag } => request(address, "PATCH", room).json(&json!({ "pstnDialOutEnabled": flag })),
        Operation::Patch { user: number, role } => {
            let role = role.map(|role| json!({ "role": role }));
            request(address, "PATCH", &participants).json(&json!({ "participants": { user(*number): role } }))
        }
        Operation::Roster => request(address, "GET", &participants),
        Operation::Delete => request(address, "DELETE", room),
    };
    let sent = Instant::now();
    let answer = timeout(PATIENCE, request.try_send()).await;
    let answered = Instant::now();
    let outcome = match answer {
        Ok(Ok(answer)) => outcome(&operation, &answer),
        _ => Outcome::Unknown,
    };
    Record { operation, outcome, sent, answered }
}

fn outcome(operation: &Operation, answer: &Answer) -> Outcome {
    match answer.status.as_u16() {
        404 => return Outcome::NotFound,
        200..300 => {}
        503 => return Outcome::Unknown,
        _ => panic!("{operation:?} is answered {answer:?}"),
    }
    match operation {
        Operation::Get | Operation::Update { .. } => {
            Outcome::Flag(answer.body["pstnDialOutEnabled"].as_bool().expect("a flag"))
        }
        Operation::Roster => {
            let number = |id: &str| (0..USERS).find(|number| user(*number) == id).expect("a user of this test");
            let entry =
                |p: &serde_json::Value| (number(p["rawId"].as_str().unwrap()), p["role"].as_str().unwrap().to_owned());
            Outcome::Roster(values(answer, "value").map(entry).collect::<BTreeMap<_, _>>())
        }
        _ => Outcome::Done,
    }
}

/// Makes a room, however often that has to be tried.
async fn create(addresses: &[SocketAddr]) -> (String, Record) {
    let (id, first) = (Uuid::new_v4().to_string(), http_date(Clock::system().now()));
    let sent = Instant::now();
    for turn in 0.. {
        let request = request(addresses[turn % addresses.len()], "POST", "/rooms")
            .header("Repeatability-Request-ID", &id)
            .header("Repeatability-First-Sent", &first)
            .json(&json!({}));
        if let Ok(Ok(answer)) = timeout(PATIENCE, request.try_send()).await
            && answer.status == 201
        {
            let room = format!("/rooms/{}", answer.body["id"].as_str().unwrap());
            let record =
                Record { operation: Operation::Create, outcome: Outcome::Done, sent, answered: Instant::now() };
            return (room, record);
        }
        sleep(Duration::from_millis(50)).await;
    }
    unreachable!("it is tried for ever")
}

fn any(random: &mut StdRng) -> Operation {
    let user = random.random_range(0..USERS);
    match random.random_range(0..20) {
        0..5 => Operation::Get,
        5..10 => Operation::Roster,
        10..13 => Operation::Update { flag: random.random() },
        13..17 => Operation::Patch { user, role: Some(if random.random() { "Presenter" } else { "Attendee" }) },
        17..19 => Operation::Patch { user, role: None },
        _ => Operation::Delete,
    }
}

async fn room_history(addresses: &[SocketAddr], seed: u64) -> Vec<Record> {
    let (room, created) = create(addresses).await;
    let client = async |n: usize| {
        let mut random = StdRng::seed_from_u64(seed * 1_000 + n as u64);
        let mut records = Vec::new();
        for turn in 0..OPERATIONS {
            records.push(send(addresses[(n + turn) % addresses.len()], &room, any(&mut random)).await);
            sleep(Duration::from_millis(random.random_range(0..120))).await;
        }
        records
    };
    let all = join_all((0..CLIENTS).map(client)).await;
    // A read without an answer says nothing.
    let says = |record: &Record| {
        record.outcome != Outcome::Unknown || !matches!(record.operation, Operation::Get | Operation::Roster)
    };
    [created].into_iter().chain(all.into_iter().flatten()).filter(says).collect()
}

/// Records `count` histories, and checks each.
async fn check_histories(count: u64) {
    let mut database = Database::start().await;
    let mut instances = [Instance::start(&database.url).await, Instance::start(&database.url).await];
    let addresses = instances.each_ref().map(|instance| instance.address);
    let (mut operations, mut open) = (0, 0);
    for history in 0..count {
        let rooms = join_all((0..ROOMS as u64).map(|room| room_history(&addresses, history * 100 + room)));
        let fault = async {
            sleep(Duration::from_millis(200)).await;
            match history % 3 {
                0 => {
                    let instance = &mut instances[usize::from(history % 2 == 0)];
                    instance.kill().await;
                    instance.start_again().await;
                }
                1 => database.kill().await,
                _ => {
                    database.stop().await;
                    database.start_again().await;
                }
            }
        };
        let (rooms, ()) = tokio::join!(rooms, fault);
        for records in rooms {
            operations += records.len();
            open += records.iter().filter(|record| record.outcome == Outcome::Unknown).count();
            assert!(is_linearizable(&records), "history {history} is not linearizable: {records:#?}");
        }
    }
    println!(
        "{count} histories of {ROOMS} rooms are linearizable: {operations} operations, {open} of them without an answer."
    );
    for mut instance in instances {
        instance.stop().await;
    }
    database.stop().await;
}

#[tokio::test]
async fn three_histories_are_linearizable() {
    check_histories(3).await;
}

#[tokio::test]
#[ignore = "a part of script/faults"]
async fn a_hundred_histories_are_linearizable() {
    check_histories(100).await;
}
