//! Rooms that are over and rooms that are not, with three participants each, and what became of them.

use std::time::Duration;

use roomkeeper::store::pool;
use sqlx::{Connection as _, PgConnection};

use crate::processes::Result;

/// The first room that is not over.
pub const FIRST_LIVE: i64 = 994_500_000_000_000_000;
const FIRST_ENDED: i64 = 994_000_000_000_000_000;
/// So many at once.
const PART: i64 = 100_000;
/// How soon Postgres has counted what connections did that have ended.
const COUNTED: Duration = Duration::from_millis(300);

/// The database, beside the service. Each use has a connection of its own: with its end, Postgres counts what it did.
pub struct Rooms<'u>(pub &'u str);

impl Rooms<'_> {
    async fn connect(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect_with(&pool::options_from_url(self.0)?).await?)
    }

    /// Adds rooms that ended a hundred days ago and more, from the `from`-th to before the `to`-th. They were made in a
    /// hundred days, and each was open for an hour to thirty days: they end in another order than they were made in.
    pub async fn add_ended(&self, from: i64, to: i64) -> Result<()> {
        let window =
            "now() - interval '230 days' + interval '1 microsecond' * (8640000000000 * n::numeric / $3)::bigint";
        let open = "interval '1 hour' * (1 + n * 7919 % 720)";
        self.add(FIRST_ENDED, from, to, &format!("{window}, {window} + {open}")).await
    }

    /// Adds so many rooms that are not over.
    pub async fn add_live(&self, count: i64) -> Result<()> {
        self.add(FIRST_LIVE, 0, count, "now(), now() + interval '100 days'").await
    }

    async fn add(&self, first: i64, from: i64, to: i64, window: &str) -> Result<()> {
        let sql = format!(
            "WITH room AS (
                 INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until, pstn_dial_out_enabled,
                                    participant_count, roster_version)
                 SELECT r.id, $4 + n, now(), {window}, false, 3, 0 FROM resources r, generate_series($1::bigint, $2 - 1) AS n
                 WHERE $3::bigint > 0
                 RETURNING resource_id, id
             )
             INSERT INTO participants (resource_id, room_id, raw_id, role, position)
             SELECT resource_id, id, '8:acs:11111111-2222-3333-4444-555555555555_' || gen_random_uuid(), 'Attendee', n
             FROM room, generate_series(1, 3) AS n"
        );
        let mut conn = self.connect().await?;
        // Each participant has its room: that need not be looked up for each.
        sqlx::query("SET session_replication_role = replica").execute(&mut conn).await?;
        for part in (from..to).step_by(PART as usize) {
            let query = sqlx::query(sqlx::AssertSqlSafe(sql.clone()));
            query.bind(part).bind(to.min(part + PART)).bind(to).bind(first).execute(&mut conn).await?;
        }
        sqlx::query("VACUUM ANALYZE").execute(&mut conn).await?;
        sqlx::query("CHECKPOINT").execute(&mut conn).await?; // what is measured next does not pay for it
        Ok(conn.close().await?)
    }

    /// How many rooms were deleted so far, by services that have ended.
    pub async fn deleted(&self) -> Result<i64> {
        tokio::time::sleep(COUNTED).await;
        let sql = "SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'rooms'";
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.connect().await?).await?)
    }

    /// How many buffers were looked at so far, of tables and of indexes.
    pub async fn buffers(&self) -> Result<i64> {
        tokio::time::sleep(COUNTED).await;
        let sql = "SELECT sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0))::bigint
                   FROM pg_statio_user_tables";
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.connect().await?).await?)
    }
}
