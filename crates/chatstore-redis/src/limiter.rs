//! Limits that several processes share.
//!
//! What one process granted, it also counts by itself: beyond that the shared count can only be larger. So the process
//! keeps within the limit alone while there is no Redis, and after a Redis that has forgotten.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chatstore::Timestamp;
use chatstore::auth::{LimitKey, Limiter, LimiterFuture, LocalLimiter, Permission, Quota};
use redis::Script;

use crate::link::{KeptOpen, Unavailable};

/// Counts what all processes do.
pub(crate) struct RedisLimiter {
    link: Arc<KeptOpen>,
    local: LocalLimiter,
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
        Self { link, local: LocalLimiter::new(), script: Script::new(include_str!("limiter.lua")) }
    }

    async fn limit(
        &self,
        step: Step,
        key: &LimitKey,
        quota: Quota,
        now: i64,
    ) -> Result<Permission, Unavailable> {
        let key = self.link.options().prefix.key(key.as_str());
        let (granted, remaining, microseconds): (bool, u32, u64) = self
            .link
            .run(async |connection| {
                let mut call = self.script.key(&key);
                call.arg(step.as_str()).arg(quota.count).arg(quota.period_us());
                call.arg(now).arg(quota.remembered_at(now));
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
                return local;
            }
            match self.limit(Step::Take, key, quota, now.as_microseconds()).await {
                Ok(refused @ Permission::Refused { .. }) => {
                    self.local.give_back(key, quota).await;
                    refused
                }
                Ok(granted) => granted,
                Err(Unavailable) => local,
            }
        })
    }

    fn give_back<'a>(&'a self, key: &'a LimitKey, quota: Quota) -> LimiterFuture<'a, ()> {
        Box::pin(async move {
            self.local.give_back(key, quota).await;
            // A place that is not given back is free again after its period.
            let _ = self.limit(Step::GiveBack, key, quota, 0).await;
        })
    }
}
