//! Limits that several processes share.
//!
//! What one process granted, it also counts by itself: beyond that the shared count can only be larger. So the process
//! keeps within the limit alone while there is no Redis, and after a Redis that has forgotten. What it granted without asking
//! Redis is told with the next request that counts for the same, so that the others know of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chatstore::Timestamp;
use chatstore::auth::{LimitKey, Limiter, LimiterFuture, LocalLimiter, Permission, Quota};
use redis::Script;

use crate::link::{KeptOpen, Unavailable};

/// Counts what all processes do.
pub(crate) struct RedisLimiter {
    link: Arc<KeptOpen>,
    local: LocalLimiter,
    owed: Owed,
    /// Takes a place, looks for one, or gives one back, in one step.
    script: Script,
}

impl fmt::Debug for RedisLimiter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedisLimiter").field("link", &self.link).finish_non_exhaustive()
    }
}

/// What the script is to do; its first argument.
#[derive(Debug, Clone, Copy)]
enum Step {
    Peek,
    Take,
    GiveBack,
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Peek => "peek",
            Self::Take => "take",
            Self::GiveBack => "give back",
        }
    }
}

impl RedisLimiter {
    pub(crate) fn new(link: Arc<KeptOpen>) -> Self {
        let script = Script::new(include_str!("limiter.lua"));
        Self { link, local: LocalLimiter::new(), owed: Owed::default(), script }
    }

    async fn limit(
        &self,
        step: Step,
        key: &LimitKey,
        quota: Quota,
        now: i64,
    ) -> Result<Permission, Unavailable> {
        let owed = match step {
            Step::Peek | Step::Take if self.link.takes_commands() => self.owed.pay(key, quota, now),
            _ => 0,
        };
        let key = self.link.options().prefix.key(key.as_str());
        let (granted, remaining, microseconds): (bool, u32, u64) = self
            .link
            .run(async |connection| {
                let mut call = self.script.key(&key);
                call.arg(step.as_str()).arg(quota.count).arg(quota.period_us());
                call.arg(now).arg(quota.remembered_at(now)).arg(owed);
                call.invoke_async(connection).await
            })
            .await?;
        let wait = Duration::from_micros(microseconds);
        Ok(match granted {
            true => Permission::Granted { remaining, reset_after: wait },
            false => Permission::Refused { retry_after: wait },
        })
    }
}

impl Limiter for RedisLimiter {
    fn peek<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission> {
        Box::pin(async move {
            let local = self.local.peek(key, quota, now).await;
            if !local.is_granted() {
                return local;
            }
            self.limit(Step::Peek, key, quota, now.as_microseconds()).await.unwrap_or(local)
        })
    }

    fn take<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission> {
        Box::pin(async move {
            let local = self.local.take(key, quota, now).await;
            if !local.is_granted() {
                if self.owed.owes(key) {
                    let _ = self.limit(Step::Peek, key, quota, now.as_microseconds()).await;
                }
                return local;
            }
            if !self.link.takes_commands() {
                self.owed.add(key, quota, now.as_microseconds());
                return local;
            }
            match self.limit(Step::Take, key, quota, now.as_microseconds()).await {
                Ok(refused @ Permission::Refused { .. }) => {
                    self.local.give_back(key, quota).await;
                    refused
                }
                Ok(granted) => granted,
                // It was sent, so Redis counts it, however late.
                Err(Unavailable) => local,
            }
        })
    }

    fn give_back<'a>(&'a self, key: &'a LimitKey, quota: Quota) -> LimiterFuture<'a, ()> {
        Box::pin(async move {
            self.local.give_back(key, quota).await;
            if self.owed.forgive(key) {
                return;
            }
            // A place that is not given back is free again after its period.
            let _ = self.limit(Step::GiveBack, key, quota, 0).await;
        })
    }
}

/// Places that were granted without asking Redis.
#[derive(Debug, Default)]
struct Owed(Mutex<HashMap<LimitKey, Debt>>);

#[derive(Debug, Clone, Copy)]
struct Debt {
    places: u32,
    /// When the last of them is free again, in microseconds since 1970.
    until: i64,
}

/// Whose places are remembered. What is granted to others meanwhile counts in this process alone.
const DEBTORS: usize = 65_536;

impl Owed {
    fn add(&self, key: &LimitKey, quota: Quota, now: i64) {
        let mut debts = self.debts();
        if debts.len() >= DEBTORS && !debts.contains_key(key) {
            debts.retain(|_, debt| debt.until > now);
            if debts.len() >= DEBTORS {
                return;
            }
        }
        let debt = debts.entry(key.clone()).or_insert(Debt { places: 0, until: 0 });
        // This process grants no more than the limit in a period.
        debt.places = debt.places.saturating_add(1).min(quota.count);
        debt.until = now.saturating_add(quota.period_us());
    }

    fn owes(&self, key: &LimitKey) -> bool {
        self.debts().contains_key(key)
    }

    /// The places of a key that are not free again, which are told now.
    fn pay(&self, key: &LimitKey, quota: Quota, now: i64) -> u32 {
        let debt = self.debts().remove(key).filter(|debt| debt.until > now);
        debt.map_or(0, |debt| debt.places.min(quota.count))
    }

    /// Takes back a place that was not told yet; whether there was one.
    fn forgive(&self, key: &LimitKey) -> bool {
        let mut debts = self.debts();
        let Some(debt) = debts.get_mut(key) else { return false };
        debt.places = debt.places.saturating_sub(1);
        if debt.places == 0 {
            debts.remove(key);
        }
        true
    }

    fn debts(&self) -> MutexGuard<'_, HashMap<LimitKey, Debt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
