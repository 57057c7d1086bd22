//! What is asked: whole requests, signed before anything is measured, with ids that vary.

use roomkeeper::store::pool;
use sqlx::PgPool;
use uuid::Uuid;

use crate::ROOMS;
use crate::processes::{Result, Service};
use crate::signing::Signer;

/// What is measured; the name is also that of its file in `benches/pgbench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Get,
    List,
    Create,
    Patch,
}

/// The first of the rooms that there are: older than any that the service makes.
const FIRST_ROOM: i64 = 994_000_000_000_000_000;

impl Operation {
    pub const ALL: [Self; 4] = [Self::Get, Self::List, Self::Create, Self::Patch];

    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Patch => "patch",
        }
    }

    /// True if the same request twice is not the same work.
    pub fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Patch)
    }

    /// More than a run uses up: a create that came again would only be remembered.
    fn count(self) -> usize {
        match self {
            Self::Get | Self::List => 20_000,
            Self::Create | Self::Patch => 120_000,
        }
    }
}

/// Fills the database with rooms, and gives the resource that has them.
pub async fn fill(url: &str) -> Result<Uuid> {
    let pool = PgPool::connect_lazy_with(pool::options_from_url(url)?);
    let resource = sqlx::query_scalar("SELECT id FROM resources").fetch_one(&pool).await?;
    // In parts, as a statement may take 5 s.
    for part in 0..10 {
        sqlx::query(
            "INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until, pstn_dial_out_enabled,
                                participant_count, roster_version)
             SELECT $1, $2 + n, now(), now(), now() + interval '100 days', false, 0, 0
             FROM generate_series($3::bigint, $4::bigint) AS n",
        )
        .bind(resource)
        .bind(FIRST_ROOM)
        .bind(part * ROOMS / 10)
        .bind((part + 1) * ROOMS / 10 - 1)
        .execute(&pool)
        .await?;
    }
    sqlx::query("ANALYZE").execute(&pool).await?;
    pool.close().await;
    Ok(resource)
}

/// Whole requests, each different where it writes.
pub fn signed(operation: Operation, service: &Service) -> Result<Vec<Vec<u8>>> {
    let signer = Signer::new(service)?;
    let date = &signer.date;
    let room = |n: usize| FIRST_ROOM + (n as i64 * 7_919) % ROOMS;
    let user = || format!("8:acs:11111111-2222-3333-4444-555555555555_{}", Uuid::new_v4());
    let requests = (0..operation.count())
        .map(|n| {
            let (method, path, body, more) = match operation {
                Operation::Get => ("GET", format!("/rooms/{}", room(n)), String::new(), String::new()),
                Operation::List => ("GET", "/rooms".to_owned(), String::new(), String::new()),
                Operation::Create => {
                    let roster = format!(
                        r#"{{"participants":{{"{}":{{"role":"Presenter"}},"{}":{{}},"{}":{{}}}}}}"#,
                        user(),
                        user(),
                        user()
                    );
                    let repeat = format!(
                        "Repeatability-Request-ID: {}\r\nRepeatability-First-Sent: {date}\r\nContent-Type: application/json\r\n",
                        Uuid::new_v4()
                    );
                    ("POST", "/rooms".to_owned(), roster, repeat)
                }
                Operation::Patch => {
                    let roster = format!(r#"{{"participants":{{"{}":{{"role":"Consumer"}}}}}}"#, user());
                    let kind = "Content-Type: application/merge-patch+json\r\n".to_owned();
                    ("PATCH", format!("/rooms/{}/participants", room(n)), roster, kind)
                }
            };
            let target = format!("{path}?api-version=2025-03-13");
            signer.request(method, &target, &more, &body)
        })
        .collect();
    Ok(requests)
}
