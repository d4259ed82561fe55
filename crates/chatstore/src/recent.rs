//! What was read from the database a moment ago.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;

/// What another process changed is seen 5 seconds later at the latest, what this one changed at once. The time
/// counts from when the answer of the database arrived, which is later than when it was true.
const REMEMBERED: Duration = Duration::from_secs(4);

/// Entries remembered at a time.
const CAPACITY: u64 = 10_000;

/// Answers of the database, remembered for a few seconds.
#[derive(Clone)]
pub(crate) struct Recent<K, V> {
    entries: Cache<K, V>,
    /// How often something was forgotten.
    forgotten: Arc<AtomicU64>,
}

impl<K, V> Recent<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        let entries = Cache::builder().max_capacity(CAPACITY).time_to_live(REMEMBERED).build();
        Self { entries, forgotten: Arc::new(AtomicU64::new(0)) }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key)
    }

    /// To be asked before something is read from the database.
    pub(crate) fn generation(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    /// Remembers what was read, unless something was forgotten since `generation`: then it may have been
    /// changed after it was read.
    pub(crate) fn remember(&self, generation: u64, key: K, value: V)
    where
        K: Clone,
    {
        self.entries.insert(key.clone(), value);
        if self.generation() != generation {
            self.entries.invalidate(&key);
        }
    }

    /// To be called when one thing that is remembered may have changed.
    pub(crate) fn forget(&self, key: &K) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate(key);
    }

    /// To be called when something that is remembered may have changed.
    pub(crate) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_everything_was_forgotten_is_not_remembered() {
        let recent: Recent<i32, &str> = Recent::new();
        let before = recent.generation();
        recent.forget_all();
        recent.remember(before, 1, "old");
        assert_eq!(recent.get(&1), None);
        recent.remember(recent.generation(), 1, "new");
        assert_eq!(recent.get(&1), Some("new"));
    }
}
