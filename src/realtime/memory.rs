//! How much a node keeps in memory, and the most that it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of one kind that all rooms of a node keep together.
#[derive(Debug)]
pub struct Memory {
    kept: AtomicUsize,
    most: usize,
}

impl Memory {
    /// Nothing yet, of `most` bytes.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { kept: AtomicUsize::new(0), most })
    }

    pub fn add(&self, bytes: usize) {
        self.kept.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn sub(&self, bytes: usize) {
        self.kept.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }

    /// True if so many bytes in the place of so many others are not too much. Rooms ask this at the same time, so that
    /// each thread may go beyond it by a frame.
    pub fn takes(&self, added: usize, replaced: usize) -> bool {
        added <= replaced || self.kept().saturating_add(added - replaced) <= self.most
    }

    /// True if more is kept than may be.
    pub fn is_over(&self) -> bool {
        self.kept() > self.most
    }
}

/// Bytes that a room keeps; its node counts them, too.
#[derive(Debug)]
pub struct Kept {
    here: AtomicUsize,
    of_node: Arc<Memory>,
}

impl Kept {
    /// Nothing yet.
    pub fn new(of_node: Arc<Memory>) -> Self {
        Self { here: AtomicUsize::new(0), of_node }
    }

    pub fn add(&self, bytes: usize) {
        self.here.fetch_add(bytes, Ordering::Relaxed);
        self.of_node.add(bytes);
    }

    pub fn sub(&self, bytes: usize) {
        self.here.fetch_sub(bytes, Ordering::Relaxed);
        self.of_node.sub(bytes);
    }

    /// Bytes that the room keeps.
    pub fn here(&self) -> usize {
        self.here.load(Ordering::Relaxed)
    }

    pub fn of_node(&self) -> &Memory {
        &self.of_node
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.of_node.sub(self.here());
    }
}
