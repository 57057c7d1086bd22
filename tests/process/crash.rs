//! Nothing lost: the service is killed under load, again and again, and what it acknowledged is there.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::service::{DataDir, Service, get, request};
use crate::wire::{Answer, http_date};

const KILLS: usize = 10;
const WRITERS: usize = 6;
/// So many writes are acknowledged between a start and the next kill.
const WRITES: usize = 120;

/// A room as its writer knows it.
#[derive(Default)]
struct Room {
    /// The flag as it was last acknowledged, and as it was last asked for.
    flag: (bool, bool),
    /// Who was acknowledged to be in the roster.
    roster: Vec<String>,
    /// Who was acknowledged to be in it no more.
    removed: Vec<String>,
}

/// A create by its request id: what was sent, and the room once it was acknowledged.
struct Create {
    request_id: Uuid,
    first_sent: String,
    room: Option<String>,
}

#[derive(Default)]
struct Writer {
    creates: Vec<Create>,
    rooms: BTreeMap<String, Room>,
    acknowledged: usize,
    retried: usize,
}

impl Writer {
    /// Writes one thing after the other, until nobody answers any more.
    async fn write(&mut self, data_dir: &DataDir, writes: &AtomicUsize) {
        loop {
            let done = match self.acknowledged % 5 {
                0 => self.create(data_dir).await,
                1 | 2 => self.add_participant(data_dir).await,
                3 => self.flip(data_dir).await,
                _ => self.remove_participant(data_dir).await,
            };
            if done.is_none() {
                return;
            }
            self.acknowledged += 1;
            writes.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn create(&mut self, data_dir: &DataDir) -> Option<()> {
        let now = roomkeeper::clock::Clock::system().now();
        self.creates.push(Create { request_id: Uuid::new_v4(), first_sent: http_date(now), room: None });
        self.send_create(data_dir, self.creates.len() - 1).await
    }

    async fn send_create(&mut self, data_dir: &DataDir, at: usize) -> Option<()> {
        let create = &mut self.creates[at];
        let request = request(data_dir, "POST", "/rooms")
            .header("Repeatability-Request-ID", &create.request_id.to_string())
            .header("Repeatability-First-Sent", &create.first_sent);
        let answer = acknowledged(request.json(&json!({})).try_send().await.ok()?, 201)?;
        let id = answer.body["id"].as_str().unwrap().to_owned();
        create.room = Some(id.clone());
        self.rooms.entry(id).or_default();
        Some(())
    }

    /// Sends again what nobody answered.
    async fn retry(&mut self, data_dir: &DataDir) {
        for at in 0..self.creates.len() {
            if self.creates[at].room.is_none() {
                self.send_create(data_dir, at).await.expect("an answer");
                self.retried += 1;
            }
        }
    }

    async fn add_participant(&mut self, data_dir: &DataDir) -> Option<()> {
        let (id, room) = self.rooms.iter_mut().next_back()?;
        let user = format!("8:acs:11111111-2222-3333-4444-555555555555_{}", Uuid::new_v4());
        let path = format!("/rooms/{id}/participants");
        let patch = json!({ "participants": { user.as_str(): { "role": "Presenter" } } });
        acknowledged(request(data_dir, "PATCH", &path).json(&patch).try_send().await.ok()?, 200)?;
        room.roster.push(user);
        Some(())
    }

    async fn remove_participant(&mut self, data_dir: &DataDir) -> Option<()> {
        let (id, room) = self.rooms.iter_mut().next_back()?;
        let path = format!("/rooms/{id}/participants");
        // Until it is acknowledged, nobody can say whether it is in or out.
        let Some(user) = room.roster.pop() else { return Some(()) };
        let patch = json!({ "participants": { user.as_str(): null } });
        acknowledged(request(data_dir, "PATCH", &path).json(&patch).try_send().await.ok()?, 200)?;
        room.removed.push(user);
        Some(())
    }

    async fn flip(&mut self, data_dir: &DataDir) -> Option<()> {
        let (id, room) = self.rooms.iter_mut().next_back()?;
        room.flag.1 = !room.flag.0;
        let patch = json!({ "pstnDialOutEnabled": room.flag.1 });
        acknowledged(request(data_dir, "PATCH", &format!("/rooms/{id}")).json(&patch).try_send().await.ok()?, 200)?;
        room.flag.0 = room.flag.1;
        Some(())
    }

    /// How many of the acknowledged writes are there.
    async fn find(&self, data_dir: &DataDir) -> usize {
        let mut found = 0;
        for (id, room) in &self.rooms {
            let answer = get(data_dir, &format!("/rooms/{id}")).await;
            assert_eq!(answer.status, 200, "room {id} was acknowledged");
            found += 1;
            let flag = answer.body["pstnDialOutEnabled"].as_bool().unwrap();
            assert!([room.flag.0, room.flag.1].contains(&flag), "the flag of {id} was acknowledged");
            let roster = get(data_dir, &format!("/rooms/{id}/participants")).await;
            let entries = roster.body["value"].as_array().unwrap();
            let entries: Vec<&Value> = entries.iter().map(|p| &p["rawId"]).collect();
            for user in &room.roster {
                assert!(entries.contains(&&json!(user)), "{user} was acknowledged in {id}");
                found += 1;
            }
            for user in &room.removed {
                assert!(!entries.contains(&&json!(user)), "the removal of {user} from {id} was acknowledged");
                found += 1;
            }
        }
        found
    }
}

/// A 503 is an honest answer of a service whose database has just been killed.
fn acknowledged(answer: Answer, status: u16) -> Option<Answer> {
    assert!([status, 503].contains(&answer.status.as_u16()), "{answer:?}");
    (answer.status == status).then_some(answer)
}

async fn count_rooms(data_dir: &DataDir) -> usize {
    let mut path = "/rooms".to_owned();
    let mut count = 0;
    loop {
        let page = get(data_dir, &path).await.body;
        count += page["value"].as_array().unwrap().len();
        match page["nextLink"].as_str() {
            Some(link) => path = link[link.find("/rooms").unwrap()..].to_owned(),
            None => return count,
        }
    }
}

#[tokio::test]
async fn ten_kills_under_load_lose_nothing_and_double_nothing() {
    let data_dir = DataDir::new();
    let mut writers: Vec<Writer> = (0..WRITERS).map(|_| Writer::default()).collect();

    for kill_number in 0..KILLS {
        let service = Service::start(&data_dir);
        for writer in &mut writers {
            writer.retry(&data_dir).await;
        }
        let writes = AtomicUsize::new(0);
        let writing = futures_util::future::join_all(writers.iter_mut().map(|w| w.write(&data_dir, &writes)));
        let killing = async {
            while writes.load(Ordering::Relaxed) < WRITES {
                tokio::task::yield_now().await;
            }
            // Every second time the database dies with it, and has to recover from its log.
            if kill_number % 2 == 1 {
                kill(Pid::from_raw(data_dir.postmaster().unwrap()), Signal::SIGKILL).unwrap();
            }
            service.kill();
        };
        futures_util::future::join(writing, killing).await;
    }

    let service = Service::start(&data_dir);
    let (mut acknowledged, mut retried, mut creates, mut wanted, mut found) = (0, 0, 0, 0, 0);
    for writer in &mut writers {
        writer.retry(&data_dir).await;
        acknowledged += writer.acknowledged;
        retried += writer.retried;
        creates += writer.creates.len();
        wanted += writer.rooms.values().map(|room| 1 + room.roster.len() + room.removed.len()).sum::<usize>();
        found += writer.find(&data_dir).await;
    }
    let duplicates = count_rooms(&data_dir).await - creates;
    // Past the harness' capture: the figures belong into the log of every run.
    let figures = format!(
        "{KILLS} kills: {acknowledged} writes acknowledged; {wanted} rooms, participants and removals to find, {found} found; \
         {creates} creates, {retried} of them sent again, {duplicates} duplicates\n"
    );
    std::io::stderr().write_all(figures.as_bytes()).unwrap();
    assert_eq!((found, duplicates), (wanted, 0));
    assert!(acknowledged >= KILLS * WRITES);
    service.stop();
}
