//! The [`Limiter`] of one process.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chatstore_model::Timestamp;
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{LimitKey, Limiter, LimiterFuture, Permission, Quota};

/// Keys remembered at a time. Beyond it those are forgotten that were not asked for longest.
const KEYS: u64 = 100_000;

/// Entries remembered of a key.
const ENTRIES: u32 = 32;

/// The [`Limiter`] of one process.
pub struct LocalLimiter {
    counts: Cache<LimitKey, Arc<Count>>,
}

impl Default for LocalLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalLimiter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LocalLimiter").finish_non_exhaustive()
    }
}

impl LocalLimiter {
    /// A limiter that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        // The usual policy would not let a new key in while all others are asked for more often.
        let counts = Cache::builder()
            .max_capacity(KEYS)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(AfterItsPeriod)
            .build();
        Self { counts }
    }

    fn count(&self, key: &LimitKey, quota: Quota) -> Arc<Count> {
        self.counts.get_with_by_ref(key, || Arc::new(Count { quota, taken: Mutex::default() }))
    }
}

impl Limiter for LocalLimiter {
    fn take<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission> {
        let permission = self.count(key, quota).take(now.as_microseconds());
        Box::pin(std::future::ready(permission))
    }

    fn give_back<'a>(&'a self, key: &'a LimitKey, _: Quota) -> LimiterFuture<'a, ()> {
        if let Some(count) = self.counts.get(key) {
            count.give_back();
        }
        Box::pin(std::future::ready(()))
    }
}

/// What one key has taken.
struct Count {
    quota: Quota,
    taken: Mutex<VecDeque<Taken>>,
}

/// Places that are free again a period after `at`, in microseconds since 1970.
#[derive(Clone, Copy)]
struct Taken {
    at: i64,
    places: u32,
}

impl Count {
    fn take(&self, now: i64) -> Permission {
        let period = i64::try_from(self.quota.period.as_micros()).unwrap_or(i64::MAX);
        let step = if self.quota.count <= ENTRIES { 1 } else { (period / i64::from(ENTRIES)).max(1) };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // What lies more than a period ahead was taken before the clock was set back.
        taken.retain(|entry| {
            let age = now.saturating_sub(entry.at);
            age < period && age >= -period
        });
        let places: u32 = taken.iter().map(|entry| entry.places).sum();
        if places >= self.quota.count {
            let oldest = taken.front().map_or(now, |entry| entry.at);
            let wait = oldest.saturating_add(period).saturating_sub(now);
            let retry_after = Duration::from_micros(u64::try_from(wait).unwrap_or(0));
            return Permission::Refused { retry_after };
        }
        let newest = taken.back().map_or(i64::MIN, |entry| entry.at);
        let at = now.saturating_add((-now).rem_euclid(step)).max(newest);
        match taken.back_mut() {
            Some(entry) if entry.at == at => entry.places += 1,
            _ => taken.push_back(Taken { at, places: 1 }),
        }
        Permission::Granted
    }

    fn give_back(&self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = taken.back_mut() {
            newest.places -= 1;
            if newest.places == 0 {
                taken.pop_back();
            }
        }
    }
}

/// Forgets a count that was not asked for since all its places became free again.
struct AfterItsPeriod;

impl AfterItsPeriod {
    /// The last place may lie a step ahead.
    fn of(count: &Count) -> Option<Duration> {
        Some(count.quota.period.saturating_mul(2))
    }
}

impl Expiry<LimitKey, Arc<Count>> for AfterItsPeriod {
    fn expire_after_create(&self, _: &LimitKey, count: &Arc<Count>, _: Instant) -> Option<Duration> {
        Self::of(count)
    }

    fn expire_after_read(
        &self,
        _: &LimitKey,
        count: &Arc<Count>,
        _: Instant,
        _: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        Self::of(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_count_is_remembered_in_few_entries() {
        let quota = Quota { count: 10_000, period: Duration::from_secs(60) };
        let count = Count { quota, taken: Mutex::default() };
        for moment in 0..100_000 {
            count.take(moment * 10_000);
        }
        let entries = count.taken.into_inner().unwrap().len();
        assert!(entries <= 33, "{entries}");
    }
}
