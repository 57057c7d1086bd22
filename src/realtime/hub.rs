//! Every room and connection of this node.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use governor::Quota;
use rand::RngExt as _;
use tokio::time::{Instant, interval};

use super::channel::Channel;
use super::connection::{Connection, ConnectionId, Identity, NotResumed, Owner, Rate};
use super::doors::Doors;
use super::event::PresenceItem;
use super::memory::Memory;
use super::order::{Order, Orders};
use super::outbox::{End, Outbox};
use super::registry::Registry;
use super::schedule::Schedule;
use super::serial::Series;
use super::session::{Session, grace};
use super::{Limits, RESUMABLE_FOR};
use crate::budget::Budget;
use crate::clock::Clock;
use crate::domain::issue::{Issue, Standing};
use crate::domain::occupancy::Occupancy;
use crate::domain::resource::ResourceId;

/// Who is in which room, on this node. Locks are taken in this order: a connection's answers, its
/// state, the channels, the doors, a channel, an outbox; the registry of connections before a connection's state.
pub struct Hub {
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) series: Series,
    pub(super) schedule: Schedule,
    pub(super) doors: Doors,
    channels: RwLock<HashMap<Key, Arc<Channel>>>,
    registry: Mutex<Registry>,
    places: Arc<AtomicUsize>,
    pub(super) output: Budget,
    number: AtomicU64,
    orders: Orders,
    pub(super) replayed: Arc<Memory>,
    pub(super) present: Arc<Memory>,
    is_stopping: AtomicBool,
}

/// How often what rooms keep is looked through for what is too old.
const TRIM: Duration = Duration::from_secs(30);
/// How often some of the transports are ended when they all have to.
const STEP: Duration = Duration::from_millis(100);

type Key = (ResourceId, Arc<str>);

/// A client's place among those that are connected.
pub struct Place {
    taken: Arc<AtomicUsize>,
    /// All others are taken: it is one of those that are kept for backends.
    is_kept: bool,
}

/// There is no place for another client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The node has as many as it may.
    Node,
    /// The holder has as many as it may.
    Holder,
}

/// Of so many places, one more is kept for backends.
const KEPT: usize = 50;

impl Hub {
    /// A node that nobody is connected to.
    pub fn new(limits: Limits, clock: Clock) -> Arc<Self> {
        let name: u64 = rand::rng().random();
        Arc::new(Self {
            limits,
            clock,
            series: Series::new(format!("n{name:016x}")),
            schedule: Schedule::default(),
            doors: Doors::default(),
            channels: RwLock::default(),
            registry: Mutex::default(),
            places: Arc::default(),
            output: Budget::new(limits.output_memory),
            number: AtomicU64::new(1),
            orders: Orders::default(),
            replayed: Memory::new(limits.replay_memory),
            present: Memory::new(limits.presence_memory),
            is_stopping: AtomicBool::new(false),
        })
    }

    /// What clients may make large.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Names this start of this node.
    pub fn node(&self) -> &str {
        self.series.name()
    }

    /// A place for a client, to be taken before it is asked who it is.
    ///
    /// # Errors
    /// `Full::Node`; also when the service stops.
    pub fn place(&self) -> Result<Place, Full> {
        let (taken, most) = (self.places.fetch_add(1, Ordering::Relaxed), self.limits.connections);
        let place = Place { taken: Arc::clone(&self.places), is_kept: taken >= most };
        let is_free = taken < most + most.div_ceil(KEPT) && !self.is_stopping.load(Ordering::Relaxed);
        if is_free { Ok(place) } else { Err(Full::Node) }
    }

    /// Begins a connection, or goes on with the one that `resume` is the key of. `holder` is whose connections are
    /// counted; a backend's are not. `remain_present_for` is how long its members stay when it breaks off; `echo`,
    /// whether it hears itself.
    ///
    /// # Errors
    /// `Full`.
    pub fn open(
        self: &Arc<Self>,
        place: Place,
        owner: Owner,
        holder: Option<Arc<str>>,
        resume: Option<&str>,
        remain_present_for: Option<Duration>,
        echo: bool,
    ) -> Result<(Session, Option<NotResumed>), Full> {
        if place.is_kept && holder.is_some() {
            return Err(Full::Node);
        }
        let mut registry = self.registry();
        let (connection, refused) = match resume.map(|key| registry.find(key, &owner)) {
            Some(Ok(connection)) => {
                registry.unpark(connection.id);
                (connection, None)
            }
            other => {
                let holder = holder.map(|holder| (owner.resource, holder));
                if let Some(holder) = &holder {
                    registry.make_room_for(holder, self.limits.connections_per_client)?;
                }
                let rate = Quota::per_second(self.limits.rate_per_connection);
                let connection = Arc::new(Connection::new(owner, holder, rate));
                registry.add(&connection);
                (connection, other.and_then(Result::err))
            }
        };
        let outbox = Arc::new(Outbox::new(self.output.share()));
        let grace = grace(remain_present_for);
        let mut state = connection.state();
        if let Some(old) = state.outbox.replace(Arc::clone(&outbox)) {
            old.end(End::Superseded);
        }
        (state.grace, state.echo) = (grace, echo);
        state.transport += 1;
        let transport = state.transport;
        let leaves_at = Instant::now() + grace;
        for channel in state.channels.values() {
            channel.lose(self, connection.id, leaves_at);
        }
        drop(state);
        drop(registry);
        if self.is_stopping.load(Ordering::SeqCst) {
            outbox.end(End::Stopping);
        }
        Ok((Session { hub: Arc::clone(self), connection, transport, outbox, _place: place }, refused))
    }

    /// How many are in a room; `None` for one where nobody is.
    pub fn occupancy(&self, resource: ResourceId, channel: &str) -> Option<Occupancy> {
        self.find(resource, channel).map(|channel| channel.occupancy())
    }

    /// The names of a resource's channels that begin with `prefix`, in their order.
    pub fn channel_names(&self, resource: ResourceId, prefix: &str) -> Vec<Arc<str>> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        let own = channels.keys().filter(|(of, name)| *of == resource && name.starts_with(prefix));
        let mut names: Vec<Arc<str>> = own.map(|(_, name)| Arc::clone(name)).collect();
        names.sort_unstable();
        names
    }

    /// Who is present in a room.
    pub fn members(&self, resource: ResourceId, channel: &str) -> Vec<Arc<PresenceItem>> {
        self.find(resource, channel).map_or_else(Vec::new, |channel| channel.members())
    }

    /// Makes a client leave the presence of a room, wherever it is connected; it may enter again,
    /// but does not do so by itself. Gives how many members it had there.
    pub fn evict(&self, resource: ResourceId, channel: &str, client_id: &str) -> usize {
        self.find(resource, channel).map_or(0, |channel| channel.evict(self, client_id))
    }

    /// Does what is due, for as long as the service runs.
    pub async fn run(&self) {
        let mut trim = tokio::time::interval(TRIM);
        loop {
            let first = self.registry().first_end();
            let next = first.into_iter().chain(self.schedule.first()).min();
            tokio::select! {
                () = sleep_until(next) => self.tick(Instant::now()),
                () = self.schedule.sooner() => {}
                at = trim.tick() => self.trim(at),
            }
        }
    }

    fn trim(&self, now: Instant) {
        let channels: Vec<Arc<Channel>> =
            self.channels.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        channels.iter().for_each(|channel| channel.trim(now));
    }

    /// Does what is due at `now`.
    pub fn tick(&self, now: Instant) {
        while let Some((due, channel)) = self.schedule.pop(now) {
            if channel.tick(self, due, now) {
                self.let_go(&channel);
            }
        }
        self.registry().forget_expired(now);
    }

    /// Ends the transports that there are one after the other, spread over `span`: clients that come back all at once would
    /// be a load on the others.
    pub async fn drain(&self, span: Duration) {
        let connections: Vec<Weak<Connection>> = self.registry().all().map(Arc::downgrade).collect();
        let steps = usize::try_from(span.as_millis() / STEP.as_millis()).unwrap_or(usize::MAX).max(1);
        let mut step = interval(STEP);
        for group in connections.chunks(connections.len().div_ceil(steps).max(1)) {
            step.tick().await;
            for connection in group.iter().filter_map(Weak::upgrade) {
                if let Some(outbox) = &connection.state().outbox {
                    outbox.end(End::Stopping);
                }
            }
        }
    }

    /// Ends every transport, and lets nobody in any more. Clients come back by themselves.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        let connections: Vec<Arc<Connection>> = self.registry().all().cloned().collect();
        for connection in connections {
            if let Some(outbox) = &connection.state().outbox {
                outbox.end(End::Stopping);
            }
        }
    }

    /// The users whose tokens are to be looked at now and then, each with those in use.
    pub fn users(&self) -> HashMap<(ResourceId, Arc<str>), HashSet<Issue>> {
        let mut users = HashMap::<_, HashSet<Issue>>::new();
        for connection in self.registry().all() {
            let Identity::Client(id) = &connection.owner.identity else { continue };
            let Some(issue) = connection.state().token_issue else { continue };
            users.entry((connection.owner.resource, Arc::clone(id))).or_default().insert(issue);
        }
        users
    }

    /// Parts from all connections of a user whose token does not stand; `None` does not stand at all. They leave their
    /// rooms at once; with another token they may come back.
    pub fn revoke(&self, resource: ResourceId, user: &str, standing: Option<Standing>) {
        let connections: Vec<Arc<Connection>> = self.registry().all().cloned().collect();
        for connection in connections {
            let is_theirs = matches!(&connection.owner.identity, Identity::Client(id) if **id == *user);
            if !is_theirs || connection.owner.resource != resource {
                continue;
            }
            let mut state = connection.state();
            let is_void = |issue| standing.is_none_or(|standing| !standing.allows(issue));
            if state.token_issue.is_some_and(is_void) {
                for (_, channel) in state.channels.drain() {
                    channel.detach(self, connection.id);
                }
                if let Some(outbox) = &state.outbox {
                    outbox.end(End::Revoked);
                }
            }
        }
    }

    /// Finds a channel, or makes it, and enters it.
    pub(super) fn enter<T>(
        &self,
        resource: ResourceId,
        name: &str,
        attach: impl Fn(&Arc<Channel>) -> Option<T>,
    ) -> (Arc<Channel>, T) {
        loop {
            let channel = self.find(resource, name).unwrap_or_else(|| {
                let made = Arc::new(Channel::new(resource, name, self));
                let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
                let opened = || {
                    made.order().opened();
                    Arc::clone(&made)
                };
                Arc::clone(channels.entry((resource, Arc::clone(made.name()))).or_insert_with(opened))
            });
            if let Some(attached) = attach(&channel) {
                return (channel, attached);
            }
        }
    }

    /// Lets go of a channel that nothing holds any more.
    pub(super) fn let_go(&self, channel: &Arc<Channel>) {
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        let key = (channel.resource(), Arc::clone(channel.name()));
        let is_it = channels.get(&key).is_some_and(|found| Arc::ptr_eq(found, channel));
        if is_it && channel.end(Instant::now()) {
            channels.remove(&key);
            channel.order().closed();
            self.doors.forget(channel);
        }
    }

    /// Forgets a connection that was closed.
    pub(super) fn forget(&self, connection: ConnectionId) {
        let mut registry = self.registry();
        registry.unpark(connection);
        registry.remove(connection);
    }

    /// Keeps a connection whose transport broke off; and as many as may be connected, the latest.
    pub(super) fn park(&self, connection: ConnectionId, now: Instant) {
        let mut registry = self.registry();
        let is_away = |connection: &Arc<Connection>| connection.state().outbox.is_none();
        if !registry.get(connection).is_some_and(is_away) {
            return; // it came back before we were here
        }
        let is_first = registry.first_end().is_none();
        registry.park(connection, now + RESUMABLE_FOR, self.limits.connections);
        if is_first {
            self.schedule.wake();
        }
    }

    /// The serials of a resource.
    pub(super) fn order(&self, resource: ResourceId) -> Arc<Order> {
        self.orders.of(resource)
    }

    /// The time, in milliseconds since 1970.
    pub(super) fn millis(&self) -> u64 {
        u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0)
    }

    /// Held while a resource's ceiling is raised before its first room begins.
    pub async fn beginning(&self) -> impl Drop {
        self.orders.beginning().await
    }

    /// What the ceiling of a resource's serials has to be raised to before a room of it begins; `None` if one is live
    /// already, or nothing has to be done.
    pub fn ceiling_to_begin(&self, resource: ResourceId) -> Option<u64> {
        let order = self.order(resource);
        if order.is_live() { None } else { order.due(self.millis()) }
    }

    /// The resources that have a live room and a ceiling that is near, each with what it has to be raised to.
    pub fn ceilings_due(&self) -> Vec<(ResourceId, u64)> {
        self.orders.due(self.millis())
    }

    /// The ceiling of a resource's serials was raised in the database.
    pub fn ceiling_raised(&self, resource: ResourceId, before: u64, ceiling: u64) {
        self.order(resource).raised(before, ceiling);
    }

    /// A number that no other of this start has.
    pub(super) fn next_number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// An id for what the service says itself.
    pub(super) fn next_id(&self) -> String {
        format!("{}:{}", self.node(), self.next_number())
    }

    fn find(&self, resource: ResourceId, name: &str) -> Option<Arc<Channel>> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        channels.get(&(resource, Arc::from(name))).cloned()
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// True if a limit allows so many at once.
pub(super) fn takes(rate: &Rate, count: usize) -> bool {
    match u32::try_from(count).map(NonZeroU32::new) {
        Ok(None) => true,
        Ok(Some(count)) => matches!(rate.check_n(count), Ok(Ok(()))),
        Err(_) => false,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
