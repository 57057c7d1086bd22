//! The time that serials of a resource count from, so that no clock breaks their order (docs/order.md).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::serial::Serial;
use crate::domain::resource::ResourceId;

/// How far ahead of the clock a ceiling is raised, in milliseconds.
const AHEAD: u64 = 10_000;
/// A ceiling that is nearer than this to the clock is raised.
const NEAR: u64 = 5_000;
/// What a ceiling leaves at least above the latest serial, where that is ahead of the clock: a second holds a million
/// serials of a room.
pub const SPARE: u64 = 1_000;

/// The serials of one resource on this node. All times are in milliseconds since 1970.
#[derive(Debug, Default)]
pub struct Order {
    /// The time of the latest serial, or where the next one has to be later than.
    latest: AtomicU64,
    /// Every serial of any node is below what the database keeps; this is what is known of that.
    ceiling: AtomicU64,
    /// Rooms that are live.
    rooms: AtomicUsize,
}

impl Order {
    /// Where a room begins: later than anything that a room of the resource told before.
    pub fn beginning(&self, now: u64) -> Serial {
        Serial::first(now.max(self.latest.load(Ordering::Relaxed) + 1))
    }

    /// A serial was handed out.
    pub fn handed_out(&self, serial: Serial) {
        self.latest.fetch_max(serial.millis(), Ordering::Relaxed);
    }

    /// A room became live.
    pub fn opened(&self) {
        self.rooms.fetch_add(1, Ordering::Relaxed);
    }

    /// A room is live no more.
    pub fn closed(&self) {
        self.rooms.fetch_sub(1, Ordering::Relaxed);
    }

    /// True while a room is live.
    pub fn is_live(&self) -> bool {
        self.rooms.load(Ordering::Relaxed) > 0
    }

    /// What the ceiling has to be raised to, if it is near.
    pub fn due(&self, now: u64) -> Option<u64> {
        let (latest, ceiling) = (self.latest.load(Ordering::Relaxed), self.ceiling.load(Ordering::Relaxed));
        let is_near = ceiling < now + NEAR || ceiling < latest + SPARE / 2;
        is_near.then(|| (now + AHEAD).max(latest + SPARE))
    }

    /// The ceiling was raised. If no room is live and another node had raised it before, that node's serials come
    /// first: the next room begins at its ceiling.
    pub fn raised(&self, before: u64, ceiling: u64) {
        let known = self.ceiling.fetch_max(ceiling, Ordering::Relaxed);
        if before > known && !self.is_live() {
            self.latest.fetch_max(before, Ordering::Relaxed);
        }
    }
}

/// The serials of every resource that was live here.
#[derive(Debug, Default)]
pub struct Orders {
    of: RwLock<HashMap<ResourceId, Arc<Order>>>,
    beginning: tokio::sync::Mutex<()>,
}

impl Orders {
    /// Those of one resource.
    pub fn of(&self, resource: ResourceId) -> Arc<Order> {
        if let Some(order) = self.of.read().unwrap_or_else(PoisonError::into_inner).get(&resource) {
            return Arc::clone(order);
        }
        Arc::clone(self.of.write().unwrap_or_else(PoisonError::into_inner).entry(resource).or_default())
    }

    /// What has to be raised to what, of the resources that are live.
    pub fn due(&self, now: u64) -> Vec<(ResourceId, u64)> {
        let orders = self.of.read().unwrap_or_else(PoisonError::into_inner);
        let live = orders.iter().filter(|(_, order)| order.is_live());
        live.filter_map(|(resource, order)| Some((*resource, order.due(now)?))).collect()
    }

    /// One at a time raises a ceiling to begin with: who comes second finds it raised.
    pub async fn beginning(&self) -> impl Drop {
        self.beginning.lock().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    #[test]
    fn a_node_begins_at_the_ceiling_that_another_one_left() {
        let order = Order::default();
        let ahead = NOW + 3_600_000;
        order.raised(ahead, ahead + SPARE);

        assert!(order.beginning(NOW).millis() > ahead);
        assert_eq!(order.due(NOW), None);
    }

    #[test]
    fn a_ceiling_is_raised_before_it_is_reached() {
        let order = Order::default();
        let to = order.due(NOW).expect("there is none yet");
        order.raised(0, to);

        assert_eq!((to, order.beginning(NOW)), (NOW + AHEAD, Serial::first(NOW)));
        assert_eq!(order.due(NOW + NEAR), None);
        assert_eq!(order.due(NOW + NEAR + 1), Some(NOW + NEAR + 1 + AHEAD));
    }

    #[test]
    fn serials_that_are_ahead_of_the_clock_have_a_ceiling_above_them() {
        let order = Order::default();
        order.raised(0, NOW + AHEAD);
        order.handed_out(Serial::first(NOW + AHEAD - 1));

        assert_eq!(order.due(NOW), Some(NOW + AHEAD - 1 + SPARE));
    }

    #[test]
    fn a_live_node_goes_on_in_its_own_order() {
        let order = Order::default();
        order.raised(0, NOW + AHEAD);
        order.opened();
        order.raised(NOW + 60_000, NOW + 60_000);

        assert_eq!(order.beginning(NOW), Serial::first(NOW));
    }

    #[test]
    fn its_own_ceiling_moves_no_node_ahead() {
        let order = Order::default();
        order.raised(0, NOW + AHEAD);
        order.raised(NOW + AHEAD, NOW + AHEAD + SPARE);

        assert_eq!(order.beginning(NOW), Serial::first(NOW));
    }
}
