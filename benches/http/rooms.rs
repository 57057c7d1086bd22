//! The rooms that there are: filled in before anything is measured, and again where runs would change how many.

use std::time::Duration;

use roomkeeper::clock::Clock;
use roomkeeper::domain::room_id::RoomIds;
use roomkeeper::store::pool;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::cpu::Stat;
use crate::processes::Result;
use crate::users;

/// The first of the rooms: older than any that a run makes.
pub const FIRST: i64 = 994_000_000_000_000_000;
/// The first of the rooms that are there to be deleted: older still, so that no page shows them.
const FIRST_DOOMED: i64 = 993_000_000_000_000_000;
/// The participants of each room.
const ROSTER: usize = 3;
/// A statement fills in so many.
const PART: i64 = 200_000;
/// Up to so many, what a run adds would be a good part of all.
const FEW: i64 = 100_000;

/// How often it is looked whether pgbench is gone.
const LOOK: Duration = Duration::from_millis(10);

/// The rooms of a resource, in a database that nobody else uses but the service and pgbench.
pub struct Rooms {
    pub url: String,
    pub resource: Uuid,
    pub count: i64,
    /// The process whose children are all of Postgres.
    pub postmaster: u32,
    conn: PgConnection,
    doomed: i64,
}

impl Rooms {
    /// Fills in so many.
    pub async fn fill(url: &str, count: i64) -> Result<Self> {
        let mut conn = PgConnection::connect_with(&pool::options_from_url(url)?).await?;
        let resource = sqlx::query_scalar("SELECT id FROM resources").fetch_one(&mut conn).await?;
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut conn).await?;
        let postmaster = Stat::read(&format!("/proc/{backend}/stat"))?.parent;
        let mut rooms = Self { url: url.to_owned(), resource, count, postmaster, conn, doomed: FIRST_DOOMED };
        rooms.insert(FIRST, count).await?;
        rooms.settle().await?;
        Ok(rooms)
    }

    /// Makes things alike before a run that writes: few rooms are as many again, and nothing of an earlier run waits to
    /// be written to the disk.
    pub async fn restore(&mut self) -> Result<()> {
        if self.count <= FEW {
            sqlx::query("TRUNCATE rooms, participants, repeated_requests").execute(&mut self.conn).await?;
            self.insert(FIRST, self.count).await?;
            return self.settle().await;
        }
        sqlx::query("CHECKPOINT").execute(&mut self.conn).await?;
        Ok(())
    }

    /// Waits until pgbench's connections are closed, which may take longer than pgbench: Postgres takes a hundred in all.
    pub async fn alone(&mut self) -> Result<()> {
        let others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'";
        while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut self.conn).await? > 0 {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Makes rooms to be deleted, and gives the first of them; the others follow.
    pub async fn doom(&mut self, count: i64) -> Result<i64> {
        let first = self.doomed;
        self.doomed += count;
        self.insert(first, count).await?;
        sqlx::query("CHECKPOINT").execute(&mut self.conn).await?;
        Ok(first)
    }

    /// Deletes those that were to be deleted, and were not.
    pub async fn clear_doomed(&mut self) -> Result<()> {
        sqlx::query("DELETE FROM rooms WHERE id < $1").bind(FIRST).execute(&mut self.conn).await?;
        Ok(())
    }

    /// An id as the service would make it now, and all that it made are smaller. It takes up to a thousand for each
    /// millisecond, and a run far fewer: so those that follow are free.
    pub fn newest() -> i64 {
        RoomIds::starting_at(0).next(Clock::system().now()).as_i64()
    }

    /// Rooms with rosters. That each participant has a room needs no check here.
    async fn insert(&mut self, first: i64, count: i64) -> Result<()> {
        let (ids, roles): (Vec<String>, Vec<&str>) = users::members(users::FIRST_GROUP, ROSTER).unzip();
        sqlx::query("SET session_replication_role = replica").execute(&mut self.conn).await?;
        for from in (first..first + count).step_by(PART as usize) {
            let to = (from + PART).min(first + count) - 1;
            sqlx::query(
                "INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until, pstn_dial_out_enabled,
                                    participant_count, roster_version)
                 SELECT $1, id, now(), now(), now() + interval '100 days' + (id - $2) * interval '1 ms', false, $4, 0
                 FROM generate_series($2, $3) AS id",
            )
            .bind(self.resource)
            .bind(from)
            .bind(to)
            .bind(ROSTER as i32)
            .execute(&mut self.conn)
            .await?;
            sqlx::query(
                "INSERT INTO participants (resource_id, room_id, raw_id, role, position)
                 SELECT $1, id, member.raw_id, member.role, 1795223272000000000 + member.place
                 FROM generate_series($2, $3) AS id,
                      unnest($4::text[], $5::text[]) WITH ORDINALITY AS member (raw_id, role, place)",
            )
            .bind(self.resource)
            .bind(from)
            .bind(to)
            .bind(&ids)
            .bind(&roles)
            .execute(&mut self.conn)
            .await?;
        }
        sqlx::query("SET session_replication_role = origin").execute(&mut self.conn).await?;
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        for statement in ["VACUUM ANALYZE rooms, participants, repeated_requests", "CHECKPOINT"] {
            sqlx::query(statement).execute(&mut self.conn).await?;
        }
        Ok(())
    }
}
