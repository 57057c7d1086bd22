//! Counts sockets: in all, of each address, and of those whose client is not known yet (docs/limits.md, Sockets).

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// How many sockets there may be.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sockets on which a request was read.
    pub sockets: usize,
    /// Those whose first request is still to come. The oldest of them makes room for the next.
    pub unknown: usize,
    /// Sockets of one address; `None` for no such limit.
    pub per_address: Option<usize>,
    /// Addresses of proxies, which speak for many clients.
    pub proxies: Vec<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sockets: 10_000, unknown: MAX_UNKNOWN, per_address: None, proxies: Vec::new() }
    }
}

/// Sockets whose first request is still to come. They are few, as each has two seconds for it.
pub const MAX_UNKNOWN: usize = 256;

/// The sockets of a service; clones share them.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    settled: usize,
    by_address: HashMap<IpAddr, usize>,
    unknown: VecDeque<Arc<Unknown>>,
}

/// A socket whose client is not known yet.
#[derive(Debug, Default)]
struct Unknown {
    has_to_go: AtomicBool,
    waker: AtomicWaker,
}

/// A socket's place, given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    gate: Gate,
    address: Option<IpAddr>,
    state: State,
}

#[derive(Debug)]
enum State {
    Unknown(Arc<Unknown>),
    Settled,
    /// All places are taken: it is served from the pool of those that are not known.
    Overflow(Arc<Unknown>),
}

impl Gate {
    /// A service that nobody is connected to.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared { limits, counts: Mutex::default() }))
    }

    /// A place for a socket that was just accepted; `None` if its address has too many.
    pub fn enter(&self, peer: Option<IpAddr>) -> Option<Slot> {
        let limits = &self.0.limits;
        let address = peer.map(|ip| ip.to_canonical());
        let counted = address.filter(|ip| !ip.is_loopback() && !limits.proxies.contains(ip));
        let mut counts = self.lock();
        if let (Some(ip), Some(most)) = (counted, limits.per_address) {
            let count = counts.by_address.entry(ip).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        let unknown = Arc::<Unknown>::default();
        counts.unknown.push_back(Arc::clone(&unknown));
        if counts.unknown.len() > limits.unknown
            && let Some(oldest) = counts.unknown.pop_front()
        {
            oldest.has_to_go.store(true, Ordering::Release);
            oldest.waker.wake();
        }
        drop(counts);
        let address = counted.filter(|_| limits.per_address.is_some());
        Some(Slot { gate: self.clone(), address, state: State::Unknown(unknown) })
    }

    /// How many sockets there are on which a request was read.
    pub fn settled(&self) -> usize {
        self.lock().settled
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn forget(&mut self, unknown: &Arc<Unknown>) {
        self.unknown.retain(|known| !Arc::ptr_eq(known, unknown));
    }
}

impl Slot {
    /// A request was read: from here on the socket has a place of its own. False if there is none.
    pub(super) fn settle(&mut self) -> bool {
        if matches!(self.state, State::Settled) {
            return true;
        }
        let mut counts = self.gate.lock();
        let is_full = counts.settled >= self.gate.0.limits.sockets;
        if let (State::Unknown(unknown) | State::Overflow(unknown), false) = (&self.state, is_full) {
            counts.forget(unknown);
            counts.settled += 1;
        }
        drop(counts);
        self.state = match std::mem::replace(&mut self.state, State::Settled) {
            State::Unknown(unknown) if is_full => State::Overflow(unknown),
            other if is_full => other,
            _ => State::Settled,
        };
        !is_full
    }

    /// True if the socket has to make room for others; if not, `waker` is woken when it has to.
    pub(super) fn has_to_go(&self, waker: &Waker) -> bool {
        match &self.state {
            State::Unknown(unknown) | State::Overflow(unknown) => {
                unknown.waker.register(waker);
                unknown.has_to_go.load(Ordering::Acquire)
            }
            State::Settled => false,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.gate.lock();
        match &self.state {
            State::Settled => counts.settled -= 1,
            State::Unknown(unknown) | State::Overflow(unknown) => counts.forget(unknown),
        }
        if let Some(ip) = self.address
            && let Some(count) = counts.by_address.get_mut(&ip)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(sockets: usize, unknown: usize, per_address: Option<usize>) -> Gate {
        Gate::new(Limits { sockets, unknown, per_address, proxies: vec!["192.0.2.9".parse().unwrap()] })
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn the_oldest_socket_without_a_request_makes_room_for_the_next() {
        let gate = gate(10, 2, None);
        let slots: Vec<Slot> = (0..3).filter_map(|_| gate.enter(None)).collect();

        let go: Vec<bool> = slots.iter().map(|slot| slot.has_to_go(Waker::noop())).collect();
        assert_eq!(go, [true, false, false]);
    }

    #[test]
    fn a_socket_that_had_a_request_makes_room_for_nobody() {
        let gate = gate(10, 1, None);
        let mut first = gate.enter(None).unwrap();
        assert!(first.settle());
        let _more: Vec<_> = (0..5).map(|_| gate.enter(None)).collect();

        assert!(!first.has_to_go(Waker::noop()));
        drop(first);
        assert_eq!(gate.settled(), 0);
    }

    #[test]
    fn beyond_the_limit_a_socket_has_no_place_until_another_is_gone() {
        let gate = gate(1, 10, None);
        let (mut first, mut second) = (gate.enter(None).unwrap(), gate.enter(None).unwrap());

        assert_eq!((first.settle(), second.settle()), (true, false));
        drop(first);
        assert!(second.settle());
        drop(second);
        assert_eq!(gate.settled(), 0);
    }

    #[test]
    fn those_that_have_no_place_are_bounded_as_well() {
        let gate = gate(0, 2, None);
        let mut slots: Vec<Slot> = Vec::new();
        for _ in 0..5 {
            let mut slot = gate.enter(None).unwrap();
            assert!(!slot.settle());
            slots.push(slot);
        }

        let go: Vec<bool> = slots.iter().map(|slot| slot.has_to_go(Waker::noop())).collect();
        assert_eq!(go, [true, true, true, false, false]);
    }

    #[test]
    fn an_address_has_so_many_sockets_and_a_proxy_and_this_machine_as_many_as_they_want() {
        let gate = gate(10, 10, Some(1));
        let one = gate.enter(ip("192.0.2.1"));

        assert!(one.is_some() && gate.enter(ip("192.0.2.1")).is_none());
        assert!(gate.enter(ip("::ffff:192.0.2.1")).is_none(), "it is the same");
        assert!(gate.enter(ip("192.0.2.2")).is_some());
        for many in ["192.0.2.9", "127.0.0.1"] {
            let held: Vec<_> = (0..5).map(|_| gate.enter(ip(many))).collect();
            assert!(held.iter().all(Option::is_some), "{many}");
        }
        drop(one);
        assert!(gate.enter(ip("192.0.2.1")).is_some());
    }
}
