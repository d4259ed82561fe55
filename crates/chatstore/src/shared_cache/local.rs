//! The [`SharedCache`] of a process alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chatstore_model::UserId;
use moka::Expiry;
use moka::sync::Cache;

use super::{CacheEntry, CacheFamily, CacheFuture, CacheSlot, CacheStatus, Lookup, SharedCache, Ticket};

/// Bytes of keys and values remembered at a time; beyond it those are forgotten that were not asked for longest.
const CAPACITY_BYTES: u64 = 16 * 1024 * 1024;

/// What an entry takes beside its texts.
const ENTRY_BYTES: usize = 256;

/// The [`SharedCache`] of a process alone: 16 MiB.
#[derive(Debug)]
pub struct LocalCache {
    entries: Cache<String, Arc<Stored>>,
    /// How often something was removed.
    generation: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug)]
struct Stored {
    family: CacheFamily,
    scope: String,
    owner: Option<UserId>,
    value: String,
    written: Instant,
    lifetime: Duration,
}

impl Default for LocalCache {
    fn default() -> Self {
        let weight = |key: &String, stored: &Arc<Stored>| {
            let bytes = key.len() + stored.scope.len() + stored.value.len() + ENTRY_BYTES;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let entries = Cache::builder()
            .max_capacity(CAPACITY_BYTES)
            .weigher(weight)
            .expire_after(AfterItsLifetime)
            .build();
        let zero = AtomicU64::default;
        Self { entries, generation: zero(), hits: zero(), misses: zero() }
    }
}

impl LocalCache {
    fn ticket(&self) -> Ticket {
        Ticket::new(self.generation.load(Ordering::SeqCst).to_string())
    }

    fn look_up(&self, slot: &CacheSlot) -> Lookup {
        let ticket = self.ticket();
        let stored = self.entries.get(&slot.key);
        let found = stored.and_then(|stored| {
            let expires_in = stored.lifetime.checked_sub(stored.written.elapsed())?;
            Some(CacheEntry { value: stored.value.clone(), expires_in })
        });
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        Lookup { found, ticket }
    }

    fn write(&self, slot: &CacheSlot, value: &str, lifetime: Duration, ticket: &Ticket) -> bool {
        let is_late = || *ticket != self.ticket();
        if lifetime.is_zero() || is_late() {
            return false;
        }
        let CacheSlot { family, key, scope, owner } = slot.clone();
        let (value, written) = (value.to_owned(), Instant::now());
        let stored = Stored { family, scope, owner, value, written, lifetime };
        self.entries.insert(key, Arc::new(stored));
        // What was removed in between may have passed this entry over.
        let is_written = !is_late();
        if !is_written {
            self.entries.invalidate(&slot.key);
        }
        is_written
    }

    fn remove_if(&self, is_meant: impl Fn(&Stored) -> bool + Send + Sync + 'static) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        for (key, stored) in &self.entries {
            if is_meant(&stored) {
                self.entries.invalidate(key.as_str());
            }
        }
    }
}

impl SharedCache for LocalCache {
    fn get<'a>(&'a self, slot: &'a CacheSlot) -> CacheFuture<'a, Lookup> {
        Box::pin(std::future::ready(Ok(self.look_up(slot))))
    }

    fn put<'a>(
        &'a self,
        slot: &'a CacheSlot,
        value: &'a str,
        lifetime: Duration,
        ticket: &'a Ticket,
    ) -> CacheFuture<'a, bool> {
        Box::pin(std::future::ready(Ok(self.write(slot, value, lifetime, ticket))))
    }

    fn remove<'a>(&'a self, slot: &'a CacheSlot) -> CacheFuture<'a, bool> {
        self.generation.fetch_add(1, Ordering::SeqCst);
        let was_there = self.entries.remove(&slot.key).is_some();
        if slot.scope != slot.key {
            let scope = slot.scope.clone();
            self.remove_if(move |stored| stored.scope == scope);
        }
        Box::pin(std::future::ready(Ok(was_there)))
    }

    fn remove_all(&self) -> CacheFuture<'_, ()> {
        self.remove_if(|stored| stored.family == CacheFamily::Database);
        Box::pin(std::future::ready(Ok(())))
    }

    fn remove_of(&self, owner: UserId) -> CacheFuture<'_, ()> {
        self.remove_if(move |stored| stored.owner == Some(owner));
        Box::pin(std::future::ready(Ok(())))
    }

    fn status(&self) -> CacheStatus {
        CacheStatus {
            kind: "memory",
            place: None,
            is_up: true,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            errors: 0,
            losses: 0,
        }
    }
}

/// Forgets each entry when its own time is over.
struct AfterItsLifetime;

impl Expiry<String, Arc<Stored>> for AfterItsLifetime {
    fn expire_after_create(&self, _: &String, stored: &Arc<Stored>, _: Instant) -> Option<Duration> {
        Some(stored.lifetime)
    }

    fn expire_after_update(
        &self,
        _: &String,
        stored: &Arc<Stored>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(stored.lifetime)
    }
}
