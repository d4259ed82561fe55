//! How many connections there are, for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The counts of a server's connections. Cheap to clone; the clones count together.
#[derive(Debug, Clone, Default)]
pub struct ConnectionCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    max: AtomicUsize,
    open: AtomicUsize,
    evicted: AtomicU64,
    refused: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionsNow {
    pub(crate) max: usize,
    pub(crate) open: usize,
    pub(crate) evicted: u64,
    pub(crate) refused: u64,
}

impl ConnectionCounts {
    pub(super) fn set_max(&self, max: usize) {
        self.0.max.store(max, Ordering::Relaxed);
    }

    pub(super) fn opened(&self) {
        self.0.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn evicted(&self, count: usize) {
        self.0.evicted.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> ConnectionsNow {
        ConnectionsNow {
            max: self.0.max.load(Ordering::Relaxed),
            open: self.0.open.load(Ordering::Relaxed),
            evicted: self.0.evicted.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }
}
