//! Rooms as the service has them, for whoever speaks its API on its tables: rows, and signed requests.

use std::fs;
use std::path::Path;

use roomkeeper::store::pool;
use sqlx::PgPool;
use uuid::Uuid;

use crate::peer::Operation;
use crate::processes::Result;
use crate::signing::Signer;

/// The first of the rooms that there are: older than any that is made while measuring.
const FIRST_ROOM: i64 = 994_000_000_000_000_000;

/// Fills the database with rooms, in one statement.
pub async fn fill(url: &str, rooms: u32) -> Result<()> {
    let pool = PgPool::connect_lazy_with(pool::options_from_url(url)?);
    sqlx::query(
        "INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until, pstn_dial_out_enabled,
                            participant_count, roster_version)
         SELECT resources.id, $1 + n, now(), now(), now() + interval '100 days', false, 0, 0
         FROM resources, generate_series(0, $2::bigint - 1) AS n",
    )
    .bind(FIRST_ROOM)
    .bind(i64::from(rooms))
    .execute(&pool)
    .await?;
    sqlx::query("ANALYZE").execute(&pool).await?;
    pool.close().await;
    Ok(())
}

/// The process of the Postgres in a folder: the first line of what it keeps there.
pub fn postmaster(folder: &Path) -> Result<u32> {
    let text = fs::read_to_string(folder.join("postgres/postgres/data/postmaster.pid"))?;
    Ok(text.lines().next().unwrap_or_default().parse()?)
}

/// Which of the rooms a request is about: all of them in turn, none right after its neighbour.
pub fn place(n: usize, rooms: u32) -> usize {
    n * 7_919 % rooms as usize
}

pub fn user() -> String {
    format!("8:acs:11111111-2222-3333-4444-555555555555_{}", Uuid::new_v4())
}

/// Whole requests, signed before anything is measured.
pub fn signed(signer: &Signer, operation: Operation, rooms: u32, count: usize) -> Vec<Vec<u8>> {
    let room = |n: usize| FIRST_ROOM + place(n, rooms) as i64;
    let request = |n: usize| {
        let (method, path, headers, body) = match operation {
            Operation::Get => ("GET", format!("/rooms/{}", room(n)), String::new(), String::new()),
            Operation::List => ("GET", "/rooms".to_owned(), String::new(), String::new()),
            Operation::Create => {
                let headers = format!(
                    "Repeatability-Request-ID: {}\r\nRepeatability-First-Sent: {}\r\n\
                     Content-Type: application/json\r\n",
                    Uuid::new_v4(),
                    signer.date
                );
                let roster = format!(r#"{{"{}":{{"role":"Presenter"}},"{}":{{}},"{}":{{}}}}"#, user(), user(), user());
                ("POST", "/rooms".to_owned(), headers, format!(r#"{{"participants":{roster}}}"#))
            }
            Operation::Patch => {
                let headers = "Content-Type: application/merge-patch+json\r\n".to_owned();
                let body = format!(r#"{{"participants":{{"{}":{{"role":"Consumer"}}}}}}"#, user());
                ("PATCH", format!("/rooms/{}/participants", room(n)), headers, body)
            }
        };
        signer.request(method, &format!("{path}?api-version=2025-03-13"), &headers, &body)
    };
    (0..count).map(request).collect()
}
