//! The [`Cache`] of one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;

use super::{Cache, CacheKey};

/// Entries remembered at a time.
const CAPACITY: u64 = 10_000;

/// A value, and how long it is remembered.
#[derive(Clone)]
struct Entry<V> {
    value: V,
    lifetime: Duration,
}

/// Forgets each value when its own time is over.
struct AfterItsLifetime;

impl<K, V> Expiry<K, Entry<V>> for AfterItsLifetime {
    fn expire_after_create(&self, _: &K, entry: &Entry<V>, _: Instant) -> Option<Duration> {
        Some(entry.lifetime)
    }

    fn expire_after_update(
        &self,
        _: &K,
        entry: &Entry<V>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.lifetime)
    }
}

/// Clones share what they remember.
#[derive(Clone)]
pub(crate) struct MemoryCache<K: CacheKey> {
    entries: moka::sync::Cache<K, Entry<K::Value>>,
    /// How often something was forgotten.
    generation: Arc<AtomicU64>,
}

impl<K: CacheKey> Default for MemoryCache<K> {
    fn default() -> Self {
        let entries =
            moka::sync::Cache::builder().max_capacity(CAPACITY).expire_after(AfterItsLifetime).build();
        Self { entries, generation: Arc::default() }
    }
}

impl<K: CacheKey> MemoryCache<K> {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Remembers what was read since `generation`, unless something was forgotten meanwhile.
    fn remember(&self, generation: u64, key: &K, value: K::Value, lifetime: Duration) {
        self.entries.insert(key.clone(), Entry { value, lifetime });
        if self.generation() != generation {
            self.entries.invalidate(key);
        }
    }
}

impl<K: CacheKey> Cache<K> for MemoryCache<K> {
    async fn get_or_load<E, F>(&self, key: &K, load: impl FnOnce() -> F + Send) -> Result<Option<K::Value>, E>
    where
        E: Send,
        F: Future<Output = Result<Option<K::Value>, E>> + Send,
    {
        if let Some(entry) = self.entries.get(key) {
            return Ok(Some(entry.value));
        }
        let generation = self.generation();
        let loaded = Box::pin(load()).await?;
        if let Some(value) = &loaded {
            self.remember(generation, key, value.clone(), K::TTL);
        }
        Ok(loaded)
    }

    async fn get_or_load_for<E, F>(
        &self,
        key: &K,
        load: impl FnOnce() -> F + Send,
    ) -> Result<Option<K::Value>, E>
    where
        E: Send,
        F: Future<Output = Result<Option<(K::Value, Duration)>, E>> + Send,
    {
        if let Some(entry) = self.entries.get(key) {
            return Ok(Some(entry.value));
        }
        let generation = self.generation();
        let Some((value, lifetime)) = Box::pin(load()).await? else { return Ok(None) };
        self.remember(generation, key, value.clone(), lifetime);
        Ok(Some(value))
    }

    fn forget(&self, key: &K) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate(key);
    }

    fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate_all();
    }
}
