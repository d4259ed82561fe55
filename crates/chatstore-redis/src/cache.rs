//! What processes remember together.
//!
//! An entry is good only for the revisions of its family and of its scope with which it was written. Whoever removes
//! something gives the scope another revision, so that neither an entry nor what a slow reader writes later is taken for
//! true. When a removal fails, the family gets another revision before this process looks anything up again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chatstore::UserId;
use chatstore::shared_cache::{
    CacheEntry, CacheFamily, CacheFuture, CacheSlot, CacheStatus, CacheUnavailable, Lookup, SharedCache,
    Ticket,
};
use redis::Script;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::link::{KeptOpen, Unavailable};
use crate::revisions::{SCOPE_LASTS, family_key};

/// What processes remember together.
pub(crate) struct RedisCache {
    link: Arc<KeptOpen>,
    put: Script,
    renew: Script,
    remove_of: Script,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// An entry as it is stored.
#[derive(Deserialize)]
struct Stored<'a> {
    revision: &'a str,
    #[serde(borrow)]
    value: &'a RawValue,
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedisCache").field("link", &self.link).finish_non_exhaustive()
    }
}

impl From<Unavailable> for CacheUnavailable {
    fn from(_: Unavailable) -> Self {
        Self
    }
}

impl RedisCache {
    pub(crate) fn new(link: Arc<KeptOpen>) -> Self {
        Self {
            link,
            put: Script::new(include_str!("put.lua")),
            renew: Script::new(include_str!("renew.lua")),
            remove_of: Script::new(include_str!("remove_of.lua")),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The keys of an entry, of its family's revision and of its scope's.
    fn keys(&self, slot: &CacheSlot) -> [String; 3] {
        let prefix = &self.link.options().prefix;
        let scope = format!("revision:{}", slot.scope);
        [prefix.key(&slot.key), family_key(prefix, slot.family), prefix.key(&scope)]
    }

    fn key_of(&self, owner: UserId) -> String {
        self.link.options().prefix.key(&format!("entries_of:{owner}"))
    }

    async fn look_up(&self, slot: &CacheSlot) -> Result<Lookup, CacheUnavailable> {
        if !self.link.revisions().are_known(slot.family) {
            return Err(CacheUnavailable);
        }
        let [entry, family, scope] = self.keys(slot);
        let (texts, milliseconds): (Vec<Option<String>>, i64) = self
            .link
            .run(async |connection| {
                let mut both = redis::pipe();
                both.mget(&[&entry, &family, &scope]).pttl(&entry);
                both.query_async(connection).await
            })
            .await?;
        let [stored, family, scope] = texts.try_into().map_err(|_| CacheUnavailable)?;
        if slot.family == CacheFamily::Database && family.is_none() {
            // Evicted, and what it was good for may not be.
            self.link.renew_later(slot.family);
            return Err(CacheUnavailable);
        }
        let revision = format!("{} {}", family.unwrap_or_default(), scope.unwrap_or_default());
        let found = stored.as_deref().and_then(|text| entry_of(text, &revision, milliseconds));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Lookup { found, ticket: Ticket::new(revision) })
    }

    async fn write(
        &self,
        slot: &CacheSlot,
        value: &str,
        lifetime: Duration,
        ticket: &Ticket,
    ) -> Result<bool, CacheUnavailable> {
        let milliseconds = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        if milliseconds == 0 {
            return Ok(false);
        }
        let [entry, family, scope] = self.keys(slot);
        let owner = slot.owner.map(|owner| self.key_of(owner));
        let written = self
            .link
            .run(async |connection| {
                let mut call = self.put.key(&entry);
                call.key(&family).key(&scope);
                if let Some(owner) = &owner {
                    call.key(owner);
                }
                call.arg(value).arg(milliseconds).arg(ticket.as_str());
                call.invoke_async(connection).await
            })
            .await;
        // An answer that could not be replaced is not to be found either.
        self.checked(slot.family, written, slot.family == CacheFamily::Responses)
    }

    async fn delete(&self, slot: &CacheSlot) -> Result<bool, CacheUnavailable> {
        let [entry, _, scope] = self.keys(slot);
        let lasts = u64::try_from(SCOPE_LASTS.as_millis()).unwrap_or(u64::MAX);
        let removed = self
            .link
            .run(async |connection| {
                let mut call = self.renew.key(&scope);
                call.key(&entry).arg(lasts).invoke_async(connection).await
            })
            .await;
        self.checked(slot.family, removed, true)
    }

    /// What became of a command, after which a family is given another revision if something may be left that should not.
    fn checked<T>(
        &self,
        family: CacheFamily,
        done: Result<T, Unavailable>,
        leaves_something: bool,
    ) -> Result<T, CacheUnavailable> {
        if done.is_err() && leaves_something {
            self.link.renew_later(family);
        }
        Ok(done?)
    }
}

/// The entry, if it is good for this revision.
fn entry_of(text: &str, revision: &str, milliseconds: i64) -> Option<CacheEntry> {
    let stored: Stored<'_> = serde_json::from_str(text).ok()?;
    let expires_in = Duration::from_millis(u64::try_from(milliseconds).ok()?);
    (stored.revision == revision).then(|| CacheEntry { value: stored.value.get().to_owned(), expires_in })
}

impl SharedCache for RedisCache {
    fn get<'a>(&'a self, slot: &'a CacheSlot) -> CacheFuture<'a, Lookup> {
        Box::pin(self.look_up(slot))
    }

    fn put<'a>(
        &'a self,
        slot: &'a CacheSlot,
        value: &'a str,
        lifetime: Duration,
        ticket: &'a Ticket,
    ) -> CacheFuture<'a, bool> {
        Box::pin(self.write(slot, value, lifetime, ticket))
    }

    fn remove<'a>(&'a self, slot: &'a CacheSlot) -> CacheFuture<'a, bool> {
        Box::pin(self.delete(slot))
    }

    fn remove_all(&self) -> CacheFuture<'_, ()> {
        Box::pin(async move {
            let family = family_key(&self.link.options().prefix, CacheFamily::Database);
            let renewed: Result<i64, Unavailable> = self
                .link
                .run(async |connection| {
                    let mut call = self.renew.key(&family);
                    call.arg("").invoke_async(connection).await
                })
                .await;
            self.checked(CacheFamily::Database, renewed, true).map(drop)
        })
    }

    fn remove_of(&self, owner: UserId) -> CacheFuture<'_, ()> {
        Box::pin(async move {
            let set = self.key_of(owner);
            let removed: Result<i64, Unavailable> = self
                .link
                .run(async |connection| self.remove_of.key(&set).invoke_async(connection).await)
                .await;
            self.checked(CacheFamily::Responses, removed, true).map(drop)
        })
    }

    fn status(&self) -> CacheStatus {
        let counts = self.link.counts();
        CacheStatus {
            kind: "redis",
            place: Some(self.link.options().place()),
            is_up: self.link.is_up(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            errors: counts.errors,
            losses: counts.losses,
        }
    }
}
