//! Limits of how often something may be done.
//!
//! A limit promises that of what was granted and not given back, never more than the quota's count lies in
//! any stretch of time of its period, however the calls come. For counts of up to 32 it refuses nothing that
//! keeps within that; beyond, what was done is remembered in steps of a 32nd of the period, and a place may
//! become free by so much later. Each process counts for itself unless a [`Limiter`] of several takes its
//! place.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chatstore_model::{Timestamp, UserId, UserName};
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest, Sha256};

/// Keys remembered at a time. Beyond it those are forgotten that were not asked for longest.
const KEYS: u64 = 100_000;

/// Entries remembered of a key.
const ENTRIES: u32 = 32;

/// How many in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub count: u32,
    /// In how long.
    pub period: Duration,
}

/// Whose count it is: a text made of parts that cannot run into each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitKey(String);

impl LimitKey {
    /// Requests of a user from an address: `rate:{user}:{address}`, with `-` for what is not known.
    #[must_use]
    pub fn request(user: Option<UserId>, address: Option<IpAddr>) -> Self {
        let user = user.map_or_else(|| "-".to_owned(), |user| user.to_string());
        Self(format!("rate:{user}:{}", network(address)))
    }

    /// Logins as somebody, whether or not there is such a user: `login:account:{digest}`. The same for all
    /// spellings of a name, and no text of a user is in it.
    #[must_use]
    pub fn login_account(name: &str) -> Self {
        let digest = Sha256::digest(UserName::key_of(name));
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("login:account:{digits}"))
    }

    /// Logins from an address: `login:address:{address}`.
    #[must_use]
    pub fn login_address(address: Option<IpAddr>) -> Self {
        Self(format!("login:address:{}", network(address)))
    }

    /// The key as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What one customer has: an IPv4 address, however it is written, or a /64 of IPv6.
fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "-".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            format!("{}/64", Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
    }
}

/// Whether something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may, and is counted.
    Granted,
    /// It may not, and is not counted.
    Refused {
        /// After this time a place is free, unless somebody else takes it.
        retry_after: Duration,
    },
}

/// What an asynchronous method of a [`Limiter`] returns.
pub type LimiterFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Counts what was done lately. One in this process is built in; one that several processes share can take
/// its place. A key is always asked for with the same quota.
pub trait Limiter: Send + Sync + fmt::Debug + 'static {
    /// Takes a place, if one is free at this instant.
    fn take<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission>;

    /// Gives the place back that was taken last, because what it was taken for shall not count.
    fn give_back<'a>(&'a self, key: &'a LimitKey, quota: Quota) -> LimiterFuture<'a, ()>;
}

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
        // What lies more than a period ahead was taken before somebody set the clock back.
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

/// Forgets a count that nobody has asked for since all its places became free again.
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
    use std::sync::atomic::{AtomicU32, Ordering};

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const THREE_A_MINUTE: Quota = Quota { count: 3, period: Duration::from_secs(60) };

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_microseconds(milliseconds * 1_000).unwrap()
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn refused(milliseconds: u64) -> Permission {
        Permission::Refused { retry_after: Duration::from_millis(milliseconds) }
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_period_is_over() {
        let limiter = LocalLimiter::new();
        let key = LimitKey::login_account("ada");
        for (milliseconds, permission) in [
            (0, Permission::Granted),
            (10_000, Permission::Granted),
            (59_000, Permission::Granted),
            (59_000, refused(1_000)),
            (59_999, refused(1)),
            (60_000, Permission::Granted),
            (60_000, refused(10_000)),
            (70_000, Permission::Granted),
            (600_000, Permission::Granted),
        ] {
            let given = limiter.take(&key, THREE_A_MINUTE, at(milliseconds)).await;
            assert_eq!(given, permission, "{milliseconds}");
        }
    }

    #[tokio::test]
    async fn what_is_given_back_can_be_taken_again() {
        let limiter = LocalLimiter::new();
        let key = LimitKey::login_address(None);
        limiter.give_back(&key, THREE_A_MINUTE).await;
        for _ in 0..3 {
            assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(0)).await, Permission::Granted);
        }
        limiter.give_back(&key, THREE_A_MINUTE).await;
        assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(0)).await, Permission::Granted);
        assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(0)).await, refused(60_000));
    }

    #[tokio::test]
    async fn a_quota_of_none_refuses_everything() {
        let limiter = LocalLimiter::new();
        let none = Quota { count: 0, period: Duration::from_secs(60) };
        assert_eq!(limiter.take(&LimitKey::login_address(None), none, at(0)).await, refused(60_000));
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_locks_nobody_out() {
        let limiter = LocalLimiter::new();
        let key = LimitKey::login_account("ada");
        for _ in 0..3 {
            assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(3_600_000)).await, Permission::Granted);
        }
        assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(3_590_000)).await, refused(70_000));
        assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(0)).await, Permission::Granted);
    }

    #[test]
    fn of_eight_threads_that_want_the_last_place_one_gets_it() {
        let limiter = LocalLimiter::new();
        let quota = Quota { count: 1_000, period: Duration::from_secs(60) };
        let key = LimitKey::login_address(address("192.0.2.1"));
        let granted = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for moment in 0..1_000 {
                        let count = limiter.count(&key, quota);
                        if count.take(moment) == Permission::Granted {
                            granted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(granted.into_inner(), 1_000);
    }

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

    #[test]
    fn keys_of_different_things_differ_and_those_of_one_are_equal() {
        let ada = Some(UserId::from_uuid(Uuid::from_u128(1)));
        let same = [
            (
                LimitKey::request(ada, address("192.0.2.1")),
                LimitKey::request(ada, address("::ffff:192.0.2.1")),
            ),
            (
                LimitKey::login_address(address("2001:db8::1")),
                LimitKey::login_address(address("2001:db8::ffff:0:0:2")),
            ),
            (LimitKey::login_account("Straße"), LimitKey::login_account(" STRASSE")),
        ];
        for (one, other) in same {
            assert_eq!(one, other);
        }
        let different = [
            LimitKey::request(None, None),
            LimitKey::request(ada, None),
            LimitKey::request(None, address("192.0.2.1")),
            LimitKey::request(ada, address("192.0.2.1")),
            LimitKey::request(ada, address("192.0.2.11")),
            LimitKey::request(ada, address("2001:db8::1")),
            LimitKey::request(ada, address("2001:db8:0:1::1")),
            LimitKey::login_address(None),
            LimitKey::login_address(address("192.0.2.1")),
            LimitKey::login_address(address("::192.0.2.1")),
            LimitKey::login_address(address("2001:db8::1")),
            LimitKey::login_account(""),
            LimitKey::login_account("-"),
            LimitKey::login_account("192.0.2.1"),
            LimitKey::login_account("a:b"),
            LimitKey::login_account("a"),
        ];
        for (index, one) in different.iter().enumerate() {
            assert!(!different[..index].contains(one), "{one:?}");
        }
        assert_eq!(different[3].as_str(), "rate:00000000-0000-0000-0000-000000000001:192.0.2.1");
        assert_eq!(different[5].as_str(), "rate:00000000-0000-0000-0000-000000000001:2001:db8::/64");
        assert!(!LimitKey::login_account("ada lovelace").as_str().contains("ada"));
    }

    proptest! {
        /// `gaps` are the times between the calls; some are given back at once.
        #[test]
        fn no_stretch_of_a_period_holds_more_than_the_count(
            count in 1_u32..80,
            gaps in prop::collection::vec((0_i64..3_000, prop::bool::weighted(0.1)), 1..400),
        ) {
            let period = 64_000;
            let quota = Quota { count, period: Duration::from_micros(period) };
            let counted = Count { quota, taken: Mutex::default() };
            let (mut now, mut granted) = (0, Vec::new());
            for (gap, is_given_back) in gaps {
                now += gap;
                let in_period = granted.iter().filter(|at| now - **at < period as i64).count();
                match counted.take(now) {
                    Permission::Granted if is_given_back => counted.give_back(),
                    Permission::Granted => {
                        prop_assert!(in_period < count as usize, "{now}");
                        granted.push(now);
                    }
                    Permission::Refused { retry_after } => {
                        prop_assert!(count > ENTRIES || in_period >= count as usize, "{now}");
                        prop_assert!(retry_after > Duration::ZERO && retry_after <= quota.period * 2);
                    }
                }
            }
        }
    }
}
