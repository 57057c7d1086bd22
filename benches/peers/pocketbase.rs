//! PocketBase: a backend in one file, on SQLite.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::connection::{Connection, json_request};
use crate::group::{Group, free_address};
use crate::peer::{Operation, Peer};
use crate::processes::Result;
use crate::rooms::{place, user};

pub const NOTES: &str = "\
    Two collections, `rooms` and `participants`, the latter unique by room and user; every request has a superuser's \
    token, which is checked. Create: one batch of four records, a transaction. (With the roster in a JSON field of the \
    room it would be one record, for about a third of the CPU; but then a patch replaces the roster whole, and undoes \
    what another changed meanwhile.) Get: the room's record. List: 30 of `sort=-@rowid` without a total. Patch: one \
    record more in `participants`. Its log of requests is off. SQLite as PocketBase opens it: WAL with `synchronous = \
    NORMAL`, so a commit is not synced to disk: what was acknowledged outlives a crash of the process, not one of the \
    machine, while each commit on Postgres, or group of them, waits for an fsync. Creates are not remembered.";

const USER: &str = "bench@example.com";
const PASSWORD: &str = "only-for-the-bench";
/// The id of the collection, for the other to refer to.
const ROOMS: &str = "rooms0000000000";
/// Rooms that are made with one request, before anything is measured.
const BATCH: u32 = 200;

pub async fn start(installed: &Path, folder: &Path, rooms: u32) -> Result<Peer> {
    let program = installed.join("bin/pocketbase");
    let output = Command::new(&program).arg("--version").output().map_err(|_| "not installed")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().replace("pocketbase version ", "");
    let pocketbase = || {
        let mut command = Command::new(&program);
        command.arg("--dir").arg(folder.join("data")).stdout(Stdio::null()).current_dir(folder);
        command
    };
    if !pocketbase().args(["superuser", "upsert", USER, PASSWORD]).status()?.success() {
        return Err("no superuser could be made".into());
    }
    let address = free_address()?;
    let mut group = Group::start(pocketbase().args(["serve", "--http", &address.to_string()]), folder)?;
    group.reached(address).await?;
    let token = prepare(address, rooms).await?;
    Ok(Peer {
        version,
        address,
        service: group.id(),
        database: None,
        requests: Box::new(move |operation, count| {
            Some((0..count).map(|n| request(address, &token, operation, place(n, rooms))).collect())
        }),
        _runs: Box::new(group),
    })
}

/// Makes the collections and the rooms, and gives the header of who may do all.
async fn prepare(address: SocketAddr, rooms: u32) -> Result<String> {
    let mut connection = Connection::open(address).await?;
    let credentials = json!({ "identity": USER, "password": PASSWORD });
    let answer = connection.ask("POST", "/api/collections/_superusers/auth-with-password", "", &credentials).await?;
    let token = serde_json::from_slice::<Value>(answer)?["token"].as_str().ok_or("no token")?.to_owned();
    let token = format!("Authorization: {token}\r\n");

    let settings =
        json!({ "batch": { "enabled": true, "maxRequests": BATCH, "timeout": 30 }, "logs": { "maxDays": 0 } });
    connection.ask("PATCH", "/api/settings", &token, &settings).await?;
    for collection in collections() {
        connection.ask("POST", "/api/collections", &token, &collection).await?;
    }
    for first in (0..rooms).step_by(BATCH as usize) {
        let batch = (first..rooms.min(first + BATCH)).map(|n| room(&name(n as usize)));
        connection.ask("POST", "/api/batch", &token, &json!({ "requests": batch.collect::<Vec<_>>() })).await?;
    }
    Ok(token)
}

fn collections() -> [Value; 2] {
    let roles = ["Presenter", "Attendee", "Consumer", "Collaborator"];
    let rooms = json!({ "id": ROOMS, "name": "rooms", "type": "base", "fields": [
        { "name": "created", "type": "autodate", "onCreate": true },
        { "name": "validFrom", "type": "date", "required": true },
        { "name": "validUntil", "type": "date", "required": true },
        { "name": "pstnDialOutEnabled", "type": "bool" },
    ] });
    let participants = json!({ "name": "participants", "type": "base", "fields": [
        { "name": "room", "type": "relation", "required": true, "maxSelect": 1, "collectionId": ROOMS,
          "cascadeDelete": true },
        { "name": "rawId", "type": "text", "required": true },
        { "name": "role", "type": "select", "required": true, "maxSelect": 1, "values": roles },
    ], "indexes": ["CREATE UNIQUE INDEX idx_participants ON participants (room, rawId)"] });
    [rooms, participants]
}

/// The id of one of the rooms that there are: fifteen letters and digits.
fn name(n: usize) -> String {
    format!("r{n:014}")
}

/// A room to be made, as a part of a batch.
fn room(id: &str) -> Value {
    let body = json!({ "id": id, "validFrom": "2026-11-21T00:00:00Z", "validUntil": "2027-05-20T00:00:00Z" });
    json!({ "method": "POST", "url": "/api/collections/rooms/records", "body": body })
}

fn participant(room: &str, role: &str) -> Value {
    json!({ "room": room, "rawId": user(), "role": role })
}

fn request(address: SocketAddr, token: &str, operation: Operation, place: usize) -> Vec<u8> {
    let (records, people) = ("/api/collections/rooms/records", "/api/collections/participants/records");
    let (method, target, body) = match operation {
        Operation::Get => ("GET", format!("{records}/{}", name(place)), String::new()),
        Operation::List => ("GET", format!("{records}?perPage=30&skipTotal=1&sort=-@rowid"), String::new()),
        Operation::Create => {
            let id = &Uuid::new_v4().simple().to_string()[..15];
            let person = |role| json!({ "method": "POST", "url": people, "body": participant(id, role) });
            let parts = [room(id), person("Presenter"), person("Attendee"), person("Attendee")];
            ("POST", "/api/batch".to_owned(), json!({ "requests": parts }).to_string())
        }
        Operation::Patch => ("POST", people.to_owned(), participant(&name(place), "Consumer").to_string()),
    };
    json_request(address, method, &target, token, &body)
}
