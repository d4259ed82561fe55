//! All connections of a server: the one place that counts them, and decides which may be opened and which are
//! closed for it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chatstore::auth::ClientNetwork;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::counts::ConnectionCounts;
use super::options::ServeOptions;
use super::peers::Peers;
use super::slot::{Announcement, Order, Slot};

/// Connections that are closed at once when there are too many: finding the longest unused costs a look at all.
const EVICTED: usize = 64;

/// How often a full server looks for a connection that has become unused.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: ServeOptions,
    announcement: Announcement,
    list: Mutex<List>,
    /// Told when a connection ends.
    ended: Notify,
}

#[derive(Debug, Default)]
struct List {
    counts: ConnectionCounts,
    last: u64,
    /// Those that count.
    open: Peers,
    /// Those that were told to make room and have not ended.
    evicted: usize,
}

impl List {
    fn total(&self) -> usize {
        self.open.count() + self.evicted
    }

    /// Closes unused connections, first those of the address that has the most.
    fn evict(&mut self) {
        let removed = self.open.remove_unused(EVICTED);
        self.close(&removed);
    }

    /// Closes the longest unused connections of an address.
    fn evict_of(&mut self, network: ClientNetwork) {
        let removed = self.open.remove_unused_of(network, EVICTED);
        self.close(&removed);
    }

    fn close(&mut self, removed: &[Arc<Slot>]) {
        self.evicted += removed.len();
        self.counts.evicted(removed.len());
        for slot in removed {
            slot.tell(Order::Evict);
        }
    }
}

impl Connections {
    pub(super) fn new(options: ServeOptions) -> Self {
        options.counts.set_max(options.max_connections);
        let list = List { counts: options.counts.clone(), ..List::default() };
        let shared = Shared {
            options,
            announcement: Announcement::default(),
            list: Mutex::new(list),
            ended: Notify::new(),
        };
        Self(Arc::new(shared))
    }

    /// Waits until one more connection may be opened.
    pub(super) async fn room(&self) {
        loop {
            {
                let mut list = self.list();
                if list.total() < self.0.options.with_reserve() {
                    return;
                }
                list.evict();
            }
            // That none has ended is fine: one may have become unused.
            let _ = timeout(LOOK_EVERY, self.0.ended.notified()).await;
        }
    }

    /// Closes unused connections, because the system has no descriptor left.
    pub(super) fn release_some(&self) {
        self.list().evict();
    }

    /// Counts a connection of an address until its ticket is dropped; `None` when the address has its share, all of it
    /// in use. If there are too many, unused ones are closed: its own, or those of the address with the most.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Ticket> {
        let options = &self.0.options;
        let network = ClientNetwork::of(Some(address));
        let is_proxy = options.trusted_proxies.contain(address.to_canonical());
        let mut list = self.list();
        if !is_proxy && list.open.count_of(network) >= options.max_connections_per_address {
            list.evict_of(network);
            if list.open.count_of(network) >= options.max_connections_per_address {
                options.counts.refused();
                return None;
            }
        }
        let is_full = list.open.count() >= options.max_connections;
        if is_full {
            list.evict();
        }
        options.counts.opened();
        list.last += 1;
        let number = list.last;
        let is_reserve = list.open.count() >= options.max_connections;
        let slot = Arc::new(Slot::new(self.0.announcement.clone(), is_reserve, options.idle_time));
        list.open.insert(network, is_proxy, number, Arc::clone(&slot));
        Some(Ticket { connections: self.clone(), network, number, slot, is_beyond_limit: is_full })
    }

    /// Gives an order to all connections, also to those that are still to be opened.
    pub(super) fn announce(&self, order: Order) {
        self.0.announcement.set(order);
        for slot in self.list().open.slots() {
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
    network: ClientNetwork,
    number: u64,
    pub(super) slot: Arc<Slot>,
    /// Whether others had to make room for it, or it has one of the reserve.
    pub(super) is_beyond_limit: bool,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut list = self.connections.list();
        if list.open.remove(self.network, self.number).is_none() {
            list.evicted = list.evicted.saturating_sub(1);
        }
        drop(list);
        self.connections.0.options.counts.closed();
        self.connections.0.ended.notify_waiters();
    }
}
