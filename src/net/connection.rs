//! The state of a connection, and the deadline that follows from it (docs/limits.md, Deadlines).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::gate::Slot;
use super::turns::{Pace, Turns};

/// How long the head of the first request may take: until then nothing is known of the client.
pub const FIRST_HEAD: Duration = Duration::from_secs(2);
/// How long the head of each further request may take, from its first byte on.
const HEAD: Duration = Duration::from_secs(10);
/// How long a request may take, its body included, until it is answered.
const REQUEST: Duration = Duration::from_secs(60);
/// How long the rest of a body may take that nobody asked for.
const DISCARD: Duration = Duration::from_secs(5);
/// How long a client may take to read an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a connection may rest between requests: longer than the pools of the usual clients keep theirs.
const IDLE: Duration = Duration::from_secs(75);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The most that is read at once; of a body whose length is not known, less, as requests may follow it in what is read.
const CHUNK: usize = 16 * 1024;
const CHUNK_OF_UNKNOWN: usize = 2 * 1024;

/// A body that a request announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// The number of bytes that are still to come.
    Length(u64),
    /// In chunks, of which nobody knows how many.
    Chunked,
}

/// The phase that a connection is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The head of a request arrives: how many bytes came, and whether its end is among them.
    Head {
        bytes: usize,
        has_ended: bool,
    },
    /// A request is being handled that has not asked for its body.
    Request,
    /// A request is being handled, and its body arrives.
    Body,
    /// The answer is being written.
    Answer,
    /// The request was answered, and the rest of its body is read and thrown away: a client that sends it may not look
    /// for the answer before.
    Discard,
    Idle,
    /// Another protocol goes on, which has deadlines of its own.
    Upgraded,
}

impl Phase {
    const HEAD: Self = Self::Head { bytes: 0, has_ended: false };
}

/// A connection, shared by its stream, what supervises it, and the requests on it; all of them are on one thread.
pub struct Connection {
    peer: Option<SocketAddr>,
    local: SocketAddr,
    is_tls: bool,
    slot: RefCell<Slot>,
    phase: Cell<Phase>,
    /// A body that was announced and has not been read to its end.
    body: Cell<Option<Body>>,
    /// Something was read that may have to be looked at before more is.
    has_read: Cell<bool>,
    /// More was read behind the head of the request, and is not handed over yet.
    has_rest: Cell<bool>,
    /// No request was read yet.
    is_new: Cell<bool>,
    /// The last bytes of the head so far.
    last_bytes: Cell<[u8; 2]>,
    deadline: Cell<Option<Instant>>,
    /// The reader to wake when it may read again.
    reader: Cell<Option<Waker>>,
    /// The next request, which waits until the answer before is written.
    follower: Cell<Option<Waker>>,
    is_late: Cell<bool>,
    pace: Pace,
    /// The task that takes the connection over after HTTP, such as a WebSocket.
    next: RefCell<Option<LocalBoxFuture<'static, ()>>>,
}

impl Connection {
    /// A connection that was just accepted; `turns` are those of its thread.
    pub fn new(peer: Option<SocketAddr>, local: SocketAddr, is_tls: bool, slot: Slot, turns: Turns) -> Self {
        Self {
            peer,
            local,
            is_tls,
            slot: RefCell::new(slot),
            phase: Cell::new(Phase::HEAD),
            body: Cell::new(None),
            has_read: Cell::new(false),
            has_rest: Cell::new(false),
            is_new: Cell::new(true),
            last_bytes: Cell::new([0; 2]),
            deadline: Cell::new(Some(Instant::now() + FIRST_HEAD)),
            reader: Cell::new(None),
            follower: Cell::new(None),
            is_late: Cell::new(false),
            pace: Pace::new(turns),
            next: RefCell::default(),
        }
    }

    /// The address of the other side.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The address that it was accepted at.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// True for HTTPS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The head of the first request is due from now on.
    pub fn head_begins(&self) {
        self.enter(Phase::HEAD, FIRST_HEAD);
    }

    /// Waits until the answer to the request before is written. Clients may send requests without reading what they are
    /// answered: the next answer is not made before.
    pub async fn answered(&self) {
        poll_fn(|cx| {
            if self.phase.get() != Phase::Answer {
                return Poll::Ready(());
            }
            self.follower.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// The head of a request was read, and it is going to be handled; `body` is what it announces. False
    /// if there is no place for the connection beyond this request.
    pub fn request_begins(&self, body: Option<Body>) -> bool {
        self.enter(Phase::Request, REQUEST);
        self.body.set(body.filter(|body| *body != Body::Length(0)));
        self.is_new.set(false);
        self.slot.borrow_mut().settle()
    }

    /// Waits while too many requests of clients that pipeline are being handled, if this client pipelines: it has sent
    /// more than this request already. The request is handled while the permit is held.
    pub async fn wait_for_turn(&self) -> Option<SemaphorePermit<'_>> {
        let is_pipelining = self.has_rest.get() && self.body.get().is_none();
        if is_pipelining { self.pace.turns().pipelined().await } else { None }
    }

    /// The request's body is wanted.
    pub fn body_begins(&self) {
        if self.phase.get() == Phase::Request {
            self.phase.set(Phase::Body);
            self.wake_reader();
        }
    }

    /// The request's body was read to its end.
    pub fn body_ends(&self) {
        self.body.set(None);
    }

    /// The request was handled, and its answer is going to be written.
    pub fn answer_begins(&self) {
        self.enter(Phase::Answer, ANSWER);
    }

    /// Another protocol takes over. False if there is no place for the connection.
    pub fn upgrade(&self) -> bool {
        self.phase.set(Phase::Upgraded);
        self.deadline.set(None);
        self.slot.borrow_mut().settle()
    }

    /// Has `next` go on when HTTP is done with the connection, and has freed what it needs for it.
    pub fn go_on_with(&self, next: LocalBoxFuture<'static, ()>) {
        *self.next.borrow_mut() = Some(next);
    }

    /// Takes the task that follows HTTP.
    pub fn take_next(&self) -> Option<LocalBoxFuture<'static, ()>> {
        self.next.borrow_mut().take()
    }

    /// All that was to be written is.
    pub(super) fn flushed(&self) {
        if self.phase.get() == Phase::Answer {
            let (next, span) = if self.body.get().is_some() { (Phase::Discard, DISCARD) } else { (Phase::Idle, IDLE) };
            self.enter(next, span);
            self.wake_reader();
            if let Some(follower) = self.follower.take() {
                follower.wake();
            }
        }
    }

    /// How many bytes may be read now; `None` if the head is too large. While it is none, `waker` is kept.
    pub(super) fn may_read(&self, waker: &Waker) -> Option<usize> {
        match self.phase.get() {
            Phase::Head { bytes: MAX_HEAD.., has_ended: false } => None,
            Phase::Head { bytes, has_ended: false } => Some(MAX_HEAD - bytes),
            Phase::Body | Phase::Discard => match self.body.get() {
                Some(Body::Length(left)) => Some(usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK))),
                // Whoever reads looks at each part before it takes the next.
                Some(Body::Chunked) if self.has_read.replace(false) => {
                    waker.wake_by_ref();
                    Some(0)
                }
                Some(Body::Chunked) => Some(CHUNK_OF_UNKNOWN),
                None => self.wait_to_read(waker),
            },
            // One request at a time: what follows it, and a body that is not asked for, stay where they are.
            Phase::Head { .. } | Phase::Request | Phase::Answer => self.wait_to_read(waker),
            Phase::Idle => Some(CHUNK),
            Phase::Upgraded => Some(usize::MAX),
        }
    }

    fn wait_to_read(&self, waker: &Waker) -> Option<usize> {
        self.reader.set(Some(waker.clone()));
        Some(0)
    }

    /// These bytes were read; gives how many of them may be handed over now.
    pub(super) fn was_read(&self, read: &[u8]) -> usize {
        self.has_read.set(true);
        if self.phase.get() == Phase::Idle && !read.is_empty() {
            self.last_bytes.set([0; 2]);
            self.enter(Phase::HEAD, HEAD);
        }
        match (self.phase.get(), self.body.get()) {
            (Phase::Head { bytes, .. }, _) => {
                let end = self.end_of_head(read);
                let taken = end.unwrap_or(read.len());
                self.phase.set(Phase::Head { bytes: bytes + taken, has_ended: end.is_some() });
                taken
            }
            (Phase::Body | Phase::Discard, Some(Body::Length(left))) => {
                let left = left.saturating_sub(read.len() as u64);
                self.body.set((left > 0).then_some(Body::Length(left)));
                if left == 0 && self.phase.get() == Phase::Discard {
                    self.enter(Phase::Idle, IDLE);
                }
                read.len()
            }
            _ => read.len(),
        }
    }

    /// Whether bytes that were read are not handed over yet.
    pub(super) fn has_rest(&self, has_rest: bool) {
        self.has_rest.set(has_rest);
    }

    /// How many bytes it moves, and when it has to let others go first.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Where a head ends among these bytes of it: behind its empty line. Empty lines before it are no part of it.
    fn end_of_head(&self, read: &[u8]) -> Option<usize> {
        let mut last = self.last_bytes.get();
        let end = read.iter().position(|&byte| {
            let is_empty_line = byte == b'\n' && matches!(last, [_, b'\n'] | [b'\n', b'\r']);
            if last != [0; 2] || !matches!(byte, b'\r' | b'\n') {
                last = [last[1], byte];
            }
            is_empty_line
        });
        self.last_bytes.set(last);
        end.map(|end| end + 1)
    }

    /// True while the answer to the request before is still being written.
    pub fn is_answering(&self) -> bool {
        self.phase.get() == Phase::Answer
    }

    /// True while no request is being handled or answered.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase.get(), Phase::Head { .. } | Phase::Discard | Phase::Idle)
    }

    /// True while an answer may be written out of turn: there was no request yet.
    pub(super) fn is_new(&self) -> bool {
        self.is_new.get()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.get()
    }

    /// A deadline was missed: what is not written never is.
    pub(super) fn miss_deadline(&self) {
        self.is_late.set(true);
    }

    pub(super) fn is_late(&self) -> bool {
        self.is_late.get()
    }

    /// True if the connection has to make room for others.
    pub(super) fn has_to_go(&self, waker: &Waker) -> bool {
        self.slot.borrow().has_to_go(waker)
    }

    fn enter(&self, phase: Phase, span: Duration) {
        self.phase.set(phase);
        self.deadline.set(Some(Instant::now() + span));
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}
