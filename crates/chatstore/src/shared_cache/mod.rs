//! What several processes remember together: users as they are looked up, sessions, answers of models.
//!
//! Everything here may be lost at any time, and a cache that does not answer is passed over. An entry of the database is
//! removed after the commit that changes it and never written before. What was read from the database before an entry was
//! removed is not written after: a look-up gives a [`Ticket`], which is expired then.

mod cached;
mod local;
mod slot;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use chatstore_model::UserId;

pub use cached::Cached;
pub use local::LocalCache;
pub use slot::{CacheFamily, CacheSlot};

/// The cache did not do what it was asked for. Its caller goes on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shared cache does not answer")]
pub struct CacheUnavailable;

/// What a method of a [`SharedCache`] returns.
pub type CacheFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, CacheUnavailable>> + Send + 'a>>;

/// With it, what is read from the database from now on may be written into an entry, unless it is removed meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket(String);

impl Ticket {
    /// A ticket of a cache, which knows what the text means.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The entry.
    pub found: Option<CacheEntry>,
    /// For writing it.
    pub ticket: Ticket,
}

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The value, as JSON.
    pub value: String,
    /// How long it is still remembered.
    pub expires_in: Duration,
}

/// How a cache is, and what was asked of it since the process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheStatus {
    /// `memory` for that of the process, `redis`.
    pub kind: &'static str,
    /// Where it is, without secrets; `None` for memory.
    pub place: Option<String>,
    /// Whether it is in use now.
    pub is_up: bool,
    /// Look-ups that found an entry.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// What failed, or took too long.
    pub errors: u64,
    /// How often it was found not to answer, and left alone until it did.
    pub losses: u64,
}

/// A cache that processes share. One for a single process is built in ([`LocalCache`]); the crate `chatstore-redis` has
/// another, whose tests hold both to the same cases.
pub trait SharedCache: Send + Sync + fmt::Debug + 'static {
    /// Looks an entry up.
    fn get<'a>(&'a self, slot: &'a CacheSlot) -> CacheFuture<'a, Lookup>;

    /// Writes an entry that lasts so long, unless something was removed under its scope since the ticket was given.
    /// Whether it is written.
    fn put<'a>(
        &'a self,
        slot: &'a CacheSlot,
        value: &'a str,
        lifetime: Duration,
        ticket: &'a Ticket,
    ) -> CacheFuture<'a, bool>;

    /// Removes an entry, and every other one with its scope; whether there was one.
    fn remove<'a>(&'a self, slot: &'a CacheSlot) -> CacheFuture<'a, bool>;

    /// Removes everything that was read from the database.
    fn remove_all(&self) -> CacheFuture<'_, ()>;

    /// Removes all entries that belong to a user.
    fn remove_of(&self, owner: UserId) -> CacheFuture<'_, ()>;

    /// How it is.
    fn status(&self) -> CacheStatus;
}
