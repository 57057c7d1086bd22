//! Pages of rooms: of those that are asked for together, each is read once, however many want it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::batch::Item;
use super::rooms::{PlacedRow, RoomRow};
use crate::domain::resource::ResourceId;
use crate::domain::room::Room;
use crate::domain::room_id::RoomId;

/// A resource's rooms, newest first, that are older than `before`; at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page {
    pub resource: ResourceId,
    pub before: Option<RoomId>,
    pub limit: u16,
}

impl Item for Page {
    type Value = Arc<[Room]>;

    fn weight(&self) -> usize {
        usize::from(self.limit)
    }
}

/// Each page in the place of what was asked.
pub async fn find_all(conn: &mut PgConnection, asked: &[Page]) -> Result<Vec<Arc<[Room]>>, StoreError> {
    let mut places = HashMap::new();
    let mut pages: Vec<Page> = Vec::new();
    let place_of = |page: &Page| {
        *places.entry(*page).or_insert_with(|| {
            pages.push(*page);
            pages.len() - 1
        })
    };
    let wanted: Vec<usize> = asked.iter().map(place_of).collect();
    let found = match pages.as_slice() {
        [page] => vec![find(conn, page).await?],
        pages => find_each(conn, pages).await?,
    };
    Ok(wanted.into_iter().filter_map(|place| found.get(place).map(Arc::clone)).collect())
}

async fn find(conn: &mut PgConnection, page: &Page) -> Result<Arc<[Room]>, StoreError> {
    let rows = sqlx::query_as!(
        RoomRow,
        "SELECT id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled
         FROM rooms WHERE resource_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        page.resource.as_uuid(),
        before(page),
        i64::from(page.limit)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Room::from).collect())
}

/// The same for several. For one, Postgres has a fifth more to do this way.
async fn find_each(conn: &mut PgConnection, pages: &[Page]) -> Result<Vec<Arc<[Room]>>, StoreError> {
    let resources: Vec<Uuid> = pages.iter().map(|page| page.resource.as_uuid()).collect();
    let befores: Vec<i64> = pages.iter().map(before).collect();
    let limits: Vec<i64> = pages.iter().map(|page| page.limit.into()).collect();
    let rows = sqlx::query_as!(
        PlacedRow,
        r#"SELECT asked.place AS "place!", r.id, r.name, r.created_at, r.valid_from, r.valid_until,
                  r.pstn_dial_out_enabled
           FROM unnest($1::uuid[], $2::bigint[], $3::bigint[])
               WITH ORDINALITY AS asked (resource_id, before, limit_to, place)
           CROSS JOIN LATERAL (
               SELECT * FROM rooms
               WHERE rooms.resource_id = asked.resource_id AND rooms.id < asked.before
               ORDER BY rooms.id DESC LIMIT asked.limit_to
           ) AS r"#,
        &resources,
        &befores,
        &limits
    )
    .fetch_all(conn)
    .await?;
    let mut found: Vec<Vec<Room>> = pages.iter().map(|_| Vec::new()).collect();
    for (at, room) in rows.into_iter().map(PlacedRow::room) {
        if let Some(page) = at.and_then(|at| found.get_mut(at)) {
            page.push(room);
        }
    }
    // A statement's rows have no order but one that it asks for, and for all of them that would be one more sort.
    found.iter_mut().for_each(|page| page.sort_unstable_by_key(|room| Reverse(room.id)));
    Ok(found.into_iter().map(Arc::from).collect())
}

/// Ids grow with time: the key is the order.
fn before(page: &Page) -> i64 {
    page.before.map_or(i64::MAX, RoomId::as_i64)
}
