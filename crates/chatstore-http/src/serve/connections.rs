//! All connections of a server: the one place that counts them, and decides which may be opened and which are
//! closed for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::slot::{Announcement, Order, Slot};

/// Connections beyond the limit, each for one request: a client that only asks for health is answered also when
/// all others are busy.
const RESERVE: usize = 256;

/// Connections that are closed at once when there are too many: finding the longest unused costs a look at all.
const EVICTED: usize = 64;

/// How often a full server looks for a connection that has become unused.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    idle_time: Duration,
    announcement: Announcement,
    list: Mutex<List>,
    /// Told when a connection ends.
    ended: Notify,
}

#[derive(Debug, Default)]
struct List {
    last: u64,
    /// Those that count.
    open: HashMap<u64, Arc<Slot>>,
    /// Those that were told to make room and have not ended.
    evicted: usize,
}

impl List {
    fn total(&self) -> usize {
        self.open.len() + self.evicted
    }

    /// Closes the longest unused connections.
    fn evict(&mut self) {
        let mut unused: Vec<(Instant, u64)> =
            self.open.iter().filter_map(|(id, slot)| Some((slot.unused_since()?, *id))).collect();
        if unused.len() > EVICTED {
            unused.select_nth_unstable(EVICTED);
            unused.truncate(EVICTED);
        }
        for (_, id) in unused {
            if let Some(slot) = self.open.remove(&id) {
                self.evicted += 1;
                slot.tell(Order::Evict);
            }
        }
    }
}

impl Connections {
    pub(super) fn new(limit: usize, idle_time: Duration) -> Self {
        let shared = Shared {
            limit,
            idle_time,
            announcement: Announcement::default(),
            list: Mutex::default(),
            ended: Notify::new(),
        };
        Self(Arc::new(shared))
    }

    /// Sockets that a server with this limit may have.
    pub(super) const fn sockets(limit: usize) -> usize {
        limit + RESERVE
    }

    /// Waits until one more connection may be opened.
    pub(super) async fn room(&self) {
        loop {
            {
                let mut list = self.list();
                if list.total() < Self::sockets(self.0.limit) {
                    return;
                }
                list.evict();
            }
            // That none has ended is fine: one may have become unused.
            let _ = timeout(LOOK_EVERY, self.0.ended.notified()).await;
        }
    }

    /// Closes the longest unused connections, because the system has no descriptor left.
    pub(super) fn release_some(&self) {
        self.list().evict();
    }

    /// Counts a connection until its ticket is dropped. If there are too many, the longest unused are closed.
    pub(super) fn admit(&self) -> Ticket {
        let mut list = self.list();
        let is_full = list.open.len() >= self.0.limit;
        if is_full {
            list.evict();
        }
        list.last += 1;
        let id = list.last;
        let is_reserve = list.open.len() >= self.0.limit;
        let slot = Arc::new(Slot::new(self.0.announcement.clone(), is_reserve, self.0.idle_time));
        list.open.insert(id, Arc::clone(&slot));
        Ticket { connections: self.clone(), id, slot, is_beyond_limit: is_full }
    }

    /// Gives an order to all connections, also to those that are still to be opened.
    pub(super) fn announce(&self, order: Order) {
        self.0.announcement.set(order);
        for slot in self.list().open.values() {
            slot.wake();
        }
    }

    /// Waits until there is no connection.
    pub(super) async fn none_left(&self) {
        loop {
            let ended = self.0.ended.notified();
            if self.list().total() == 0 {
                return;
            }
            ended.await;
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    connections: Connections,
    id: u64,
    pub(super) slot: Arc<Slot>,
    /// Whether others had to make room for it, or it has one of the reserve.
    pub(super) is_beyond_limit: bool,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut list = self.connections.list();
        if list.open.remove(&self.id).is_none() {
            list.evicted = list.evicted.saturating_sub(1);
        }
        drop(list);
        self.connections.0.ended.notify_waiters();
    }
}
