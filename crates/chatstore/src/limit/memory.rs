//! The [`Limiter`] of one process.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chatstore_model::Timestamp;
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{LimitKey, LimitKind, Limiter, LimiterFuture, Permission, Quota};

/// Keys of a kind remembered at a time. Beyond it those are forgotten that were not asked for longest.
const fn capacity(kind: LimitKind) -> u64 {
    match kind {
        LimitKind::Request | LimitKind::FailuresOfAddress | LimitKind::LoginsOfAddress => 100_000,
        LimitKind::FailuresOfAccount
        | LimitKind::FailuresOfAccountFrom
        | LimitKind::FailuresOfName
        | LimitKind::FailuresOfNameFrom
        | LimitKind::Confirmation => 25_000,
    }
}

/// The [`Limiter`] of one process.
pub struct LocalLimiter {
    /// Of each kind, in the order of [`LimitKind::ALL`].
    counts: [Cache<LimitKey, Arc<Count>>; LimitKind::ALL.len()],
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
        let counts = LimitKind::ALL.map(|kind| {
            // The usual policy would not let a new key in while all others are asked for more often.
            Cache::builder()
                .max_capacity(capacity(kind))
                .eviction_policy(EvictionPolicy::lru())
                .expire_after(AfterItsPeriod)
                .build()
        });
        Self { counts }
    }

    fn of_kind(&self, key: &LimitKey) -> &Cache<LimitKey, Arc<Count>> {
        &self.counts[key.kind() as usize]
    }

    fn count(&self, key: &LimitKey, quota: Quota) -> Arc<Count> {
        self.of_kind(key).get_with_by_ref(key, || Arc::new(Count::new(quota)))
    }
}

impl Limiter for LocalLimiter {
    fn peek<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission> {
        let count = self.of_kind(key).get(key).unwrap_or_else(|| Arc::new(Count::new(quota)));
        Box::pin(std::future::ready(count.peek(now.as_microseconds())))
    }

    fn take<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission> {
        let permission = self.count(key, quota).take(now.as_microseconds());
        Box::pin(std::future::ready(permission))
    }

    fn give_back<'a>(&'a self, key: &'a LimitKey, _: Quota) -> LimiterFuture<'a, ()> {
        if let Some(count) = self.of_kind(key).get(key) {
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
    fn new(quota: Quota) -> Self {
        Self { quota, taken: Mutex::default() }
    }

    fn peek(&self, now: i64) -> Permission {
        let mut taken = self.taken();
        self.expire(&mut taken, now);
        let oldest = taken.front().map_or(now, |entry| entry.at);
        let until_reset = self.until_free(oldest, now);
        match self.quota.count.checked_sub(places(&taken)) {
            None | Some(0) => Permission::Refused { retry_after: until_reset },
            Some(remaining) => Permission::Granted { remaining, reset_after: until_reset },
        }
    }

    fn take(&self, now: i64) -> Permission {
        let mut taken = self.taken();
        self.expire(&mut taken, now);
        let used = places(&taken);
        if used >= self.quota.count {
            let oldest = taken.front().map_or(now, |entry| entry.at);
            return Permission::Refused { retry_after: self.until_free(oldest, now) };
        }
        self.push(&mut taken, now);
        let oldest = taken.front().map_or(now, |entry| entry.at);
        let remaining = self.quota.count - used - 1;
        Permission::Granted { remaining, reset_after: self.until_free(oldest, now) }
    }

    /// Gives back those whose time is over.
    fn expire(&self, taken: &mut VecDeque<Taken>, now: i64) {
        let period = self.quota.period_us();
        // What lies more than a period ahead was taken before the clock was set back.
        taken.retain(|entry| {
            let age = now.saturating_sub(entry.at);
            age < period && age >= -period
        });
    }

    fn until_free(&self, oldest: i64, now: i64) -> Duration {
        let wait = oldest.saturating_add(self.quota.period_us()).saturating_sub(now);
        Duration::from_micros(u64::try_from(wait).unwrap_or(0))
    }

    fn push(&self, taken: &mut VecDeque<Taken>, now: i64) {
        let newest = taken.back().map_or(i64::MIN, |entry| entry.at);
        let at = self.quota.remembered_at(now).max(newest);
        match taken.back_mut() {
            Some(entry) if entry.at == at => entry.places += 1,
            _ => taken.push_back(Taken { at, places: 1 }),
        }
    }

    fn taken(&self) -> MutexGuard<'_, VecDeque<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self) {
        let mut taken = self.taken();
        if let Some(newest) = taken.back_mut() {
            newest.places -= 1;
            if newest.places == 0 {
                taken.pop_back();
            }
        }
    }
}

fn places(taken: &VecDeque<Taken>) -> u32 {
    taken.iter().map(|entry| entry.places).sum()
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
    use chatstore_model::UserId;

    use super::super::{ClientNetwork, LoginAccount};
    use super::*;

    #[test]
    fn made_up_names_push_no_other_count_out() {
        let limiter = LocalLimiter::new();
        let now = Timestamp::from_microseconds(0).unwrap();
        let quota = Quota { count: 1, period: Duration::from_secs(60) };
        let network = ClientNetwork::default();
        let user = LoginAccount::User(UserId::ANONYMOUS);
        let kept = [
            LimitKey::failures_of(network),
            LimitKey::logins_of(network),
            LimitKey::login(&user),
            LimitKey::login_from(&user, network),
            LimitKey::confirmation(UserId::ANONYMOUS, network),
        ];
        let take = |key: &LimitKey| limiter.count(key, quota).take(now.as_microseconds());
        for key in &kept {
            assert!(take(key).is_granted());
        }
        for number in 0..110_000 {
            let name = LoginAccount::of(None, &number.to_string());
            take(&LimitKey::login(&name));
            take(&LimitKey::login_from(&name, network));
        }
        for cache in &limiter.counts {
            cache.run_pending_tasks();
        }
        for key in &kept {
            assert!(matches!(take(key), Permission::Refused { .. }), "{key:?}");
        }
        let names = &limiter.counts[LimitKind::FailuresOfName as usize];
        assert_eq!(names.entry_count(), capacity(LimitKind::FailuresOfName));
    }

    #[test]
    fn a_look_remembers_nothing() {
        let limiter = LocalLimiter::new();
        let (key, now) =
            (LimitKey::failures_of(ClientNetwork::default()), Timestamp::from_microseconds(0).unwrap());
        let quota = Quota { count: 1, period: Duration::from_secs(60) };
        for _ in 0..3 {
            drop(limiter.peek(&key, quota, now));
        }
        limiter.of_kind(&key).run_pending_tasks();
        assert_eq!(limiter.of_kind(&key).entry_count(), 0);
        assert!(limiter.count(&key, quota).take(0).is_granted());
        assert!(matches!(limiter.count(&key, quota).peek(0), Permission::Refused { .. }));
    }

    #[test]
    fn a_large_count_is_remembered_in_few_entries() {
        let quota = Quota { count: 10_000, period: Duration::from_secs(60) };
        let count = Count::new(quota);
        for moment in 0..100_000 {
            count.take(moment * 10_000);
        }
        let entries = count.taken.into_inner().unwrap().len();
        assert!(entries <= 33, "{entries}");
    }
}
