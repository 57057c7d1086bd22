//! A load of writes, and what became of each.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use roomkeeper::clock::Clock;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::wire::{Answer, Request, http_date};

const WRITERS: usize = 8;
/// How long a writer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after a failure it tries again.
const PAUSE: Duration = Duration::from_millis(50);
/// How long after the end of the load a write is tried.
const LAST: Duration = Duration::from_secs(20);

/// The writes of a load and their outcomes.
#[derive(Default)]
pub struct Ledger {
    writes: RefCell<Vec<Write>>,
    refused: Cell<usize>,
    /// Without an answer.
    broken: Cell<usize>,
    longest: Cell<Duration>,
    unexpected: RefCell<Vec<String>>,
}

/// A room that was made, with a user of its own and another one that was added later.
#[derive(Clone)]
struct Write {
    room: String,
    user: String,
    /// Once it was acknowledged.
    added: Option<String>,
}

/// The result of checking a ledger against the service and the database.
pub struct Found {
    pub acknowledged: usize,
    pub found: usize,
    pub doubled: i64,
}

fn user() -> String {
    format!("8:acs:{}_{}", Uuid::from_u128(0xfa), Uuid::new_v4())
}

impl Ledger {
    /// Writes to the instances until `is_over`, each write until it is acknowledged.
    pub async fn load(&self, instances: &[SocketAddr], is_over: &Cell<bool>) {
        join_all((0..WRITERS).map(|writer| self.write(writer, instances, is_over))).await;
    }

    async fn write(&self, writer: usize, instances: &[SocketAddr], is_over: &Cell<bool>) {
        let mut turn = writer;
        while !is_over.get() {
            let (user, other) = (user(), user());
            let (id, sent) = (Uuid::new_v4().to_string(), http_date(Clock::system().now()));
            let create = |address| {
                request(address, "POST", "/rooms")
                    .header("Repeatability-Request-ID", &id)
                    .header("Repeatability-First-Sent", &sent)
                    .json(&json!({ "participants": { &user: { "role": "Presenter" } } }))
            };
            let Some(created) = self.until_done(instances, &mut turn, is_over, create).await else { continue };
            let room = format!("/rooms/{}", created.body["id"].as_str().unwrap_or_default());
            self.writes.borrow_mut().push(Write { room: room.clone(), user, added: None });
            let place = self.writes.borrow().len() - 1;
            let path = format!("{room}/participants");
            let body = json!({ "participants": { &other: { "role": "Attendee" } } });
            let add = |address| request(address, "PATCH", &path).json(&body);
            if self.until_done(instances, &mut turn, is_over, add).await.is_some() {
                self.writes.borrow_mut()[place].added = Some(other);
            }
        }
    }

    /// Sends a request, to one instance after the other, until it succeeds.
    async fn until_done(
        &self,
        instances: &[SocketAddr],
        turn: &mut usize,
        is_over: &Cell<bool>,
        request: impl Fn(SocketAddr) -> Request,
    ) -> Option<Answer> {
        let began = Instant::now();
        let mut over_since = None;
        loop {
            *turn += 1;
            let asked = timeout(PATIENCE, request(instances[*turn % instances.len()]).try_send()).await;
            match asked {
                Ok(Ok(answer)) if answer.status.is_success() => {
                    self.longest.set(self.longest.get().max(began.elapsed()));
                    return Some(answer);
                }
                Ok(Ok(answer)) if answer.status == 503 => {
                    self.refused.set(self.refused.get() + 1);
                    if answer.header("retry-after").is_none() {
                        self.unexpected.borrow_mut().push("503 without Retry-After".to_owned());
                    }
                }
                Ok(Ok(answer)) => {
                    self.unexpected.borrow_mut().push(format!("{} {}", answer.status, answer.body));
                    return None;
                }
                Ok(Err(_)) => self.broken.set(self.broken.get() + 1),
                Err(_) => self.unexpected.borrow_mut().push("no answer for 5 s".to_owned()),
            }
            if is_over.get() && over_since.get_or_insert_with(Instant::now).elapsed() >= LAST {
                self.unexpected.borrow_mut().push("a write did not succeed after the fault".to_owned());
                return None;
            }
            sleep(PAUSE).await;
        }
    }

    /// Looks for all that was acknowledged, over the service, and for what was done twice, in the database.
    pub async fn check(&self, instance: SocketAddr, url: &str) -> Found {
        let writes = self.writes.borrow().clone();
        let mut found = 0;
        let mut users = Vec::new();
        for write in &writes {
            let roster = request(instance, "GET", &format!("{}/participants", write.room)).send().await;
            let names: Vec<&str> =
                roster.body["value"].as_array().into_iter().flatten().filter_map(|p| p["rawId"].as_str()).collect();
            let has = |user: &String| names.contains(&user.as_str());
            if has(&write.user) {
                found += 1;
            }
            if write.added.as_ref().is_some_and(has) {
                found += 1;
            }
            users.push(write.user.clone());
        }
        let acknowledged = writes.len() + writes.iter().filter(|write| write.added.is_some()).count();
        let mut conn = PgConnection::connect(url).await.unwrap();
        let doubled = "SELECT count(*) FROM (SELECT FROM participants WHERE raw_id = ANY($1) \
                       GROUP BY raw_id HAVING count(*) > 1) AS doubled";
        let doubled: i64 = sqlx::query_scalar(doubled).bind(&users).fetch_one(&mut conn).await.unwrap();
        Found { acknowledged, found, doubled }
    }

    /// Prints a row of the table, and fails if something was lost, done twice or answered as it should not be.
    pub async fn conclude(&self, fault: &str, instance: SocketAddr, url: &str) {
        let Found { acknowledged, found, doubled } = self.check(instance, url).await;
        let unexpected = self.unexpected.borrow();
        println!(
            "| {fault} | {acknowledged} | {found} | {doubled} | {} | {} | {} | {} |",
            self.refused.get(),
            self.broken.get(),
            self.longest.get().as_millis(),
            unexpected.len()
        );
        assert_eq!((found, doubled), (acknowledged, 0), "{fault}");
        assert!(unexpected.is_empty(), "{fault}: {unexpected:?}");
        assert!(acknowledged > 20, "{fault}: {acknowledged} acknowledged");
    }
}

pub fn request(address: SocketAddr, method: &str, path: &str) -> Request {
    Request::new(address, Clock::system().now(), method, path)
}

/// The value of a list by its name.
pub fn values<'a>(answer: &'a Answer, name: &str) -> impl Iterator<Item = &'a Value> {
    answer.body[name].as_array().into_iter().flatten()
}
