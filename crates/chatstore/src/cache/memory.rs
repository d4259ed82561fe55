//! The [`Cache`] of one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Cache, CacheKey};

/// Entries remembered at a time.
const CAPACITY: u64 = 10_000;

/// Clones share what they remember.
#[derive(Clone)]
pub(crate) struct MemoryCache<K: CacheKey> {
    entries: moka::sync::Cache<K, K::Value>,
    /// How often something was forgotten.
    generation: Arc<AtomicU64>,
}

impl<K: CacheKey> Default for MemoryCache<K> {
    fn default() -> Self {
        let entries = moka::sync::Cache::builder().max_capacity(CAPACITY).time_to_live(K::TTL).build();
        Self { entries, generation: Arc::default() }
    }
}

impl<K: CacheKey> MemoryCache<K> {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Remembers what was read since `generation`, unless something was forgotten meanwhile.
    fn remember(&self, generation: u64, key: &K, value: K::Value) {
        self.entries.insert(key.clone(), value);
        if self.generation() != generation {
            self.entries.invalidate(key);
        }
    }
}

impl<K: CacheKey> Cache<K> for MemoryCache<K> {
    async fn get_or_load<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<Option<K::Value>, E>> + Send,
    ) -> Result<Option<K::Value>, E> {
        if let Some(value) = self.entries.get(key) {
            return Ok(Some(value));
        }
        let generation = self.generation();
        let loaded = load.await?;
        if let Some(value) = &loaded {
            self.remember(generation, key, value.clone());
        }
        Ok(loaded)
    }

    async fn forget(&self, key: &K) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate(key);
    }

    async fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate_all();
    }
}
