//! Users as several processes remember them, for look-ups by name. Nothing is decided by what is remembered here: who may
//! do what is asked of the database.

use std::time::{Duration, Instant};

use chatstore_model::{CanonicalJson, Timestamp, User, UserId, UserRole};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Users;
use crate::error::Result;
use crate::security_event::SecurityEvent;
use crate::shared_cache::{CacheSlot, Cached, Lookup, Ticket};
use crate::store::Store;

/// How long a user is remembered.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// A user as stored.
#[derive(Serialize, Deserialize)]
struct StoredUser {
    id: UserId,
    username: Option<String>,
    email: Option<String>,
    email_verified_at: Option<Timestamp>,
    full_name: Option<String>,
    role: String,
    is_active: bool,
    must_change_password: bool,
    metadata: Box<RawValue>,
    created_at: Timestamp,
    updated_at: Timestamp,
    external_namespace: Option<String>,
    external_id: Option<String>,
}

/// Users as several processes remember them, by name.
#[derive(Debug, Clone, Copy)]
pub struct UserCache<'s>(&'s Store);

impl Store {
    /// Users as all processes with the same [`SharedCache`](crate::shared_cache::SharedCache) remember them, by name, in
    /// whichever spelling. A store that was given none remembers no users.
    #[must_use]
    pub const fn user_cache(&self) -> UserCache<'_> {
        UserCache(self)
    }
}

impl UserCache<'_> {
    /// The user who is remembered by this name. `None` also while the cache does not answer.
    pub async fn get(self, username: &str) -> Option<Cached<User>> {
        let entry = self.look_up(username).await?.found?;
        let expires_at = self.0.now().plus(entry.expires_in);
        Some(Cached { value: read(&entry.value)?, expires_at })
    }

    /// Reads the user with this name and remembers what the database says for five minutes, unless the user is changed
    /// meanwhile; nothing else is ever remembered. `None` when there is no such user.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn set(self, username: &str) -> Result<Option<User>> {
        let ticket = self.look_up(username).await.map(|lookup| lookup.ticket);
        self.load(username, ticket).await
    }

    /// Forgets what is remembered by this name, for all processes; while the cache does not answer, nothing of before is found
    /// once it answers again. Changes of a user do so by themselves.
    pub async fn invalidate(self, username: &str) {
        self.forget(username).await;
        // For those who watch: what is forgotten does not depend on it.
        let user = self.0.users().find_by_username(username).await.ok().flatten();
        SecurityEvent::CACHE_INVALIDATED.note(self.0, user.map(|user| user.id));
    }

    async fn look_up(self, username: &str) -> Option<Lookup> {
        if !self.0.is_shared {
            return None;
        }
        self.0.shared.get(&CacheSlot::user(username)).await.ok()
    }

    async fn load(self, username: &str, ticket: Option<Ticket>) -> Result<Option<User>> {
        let asked = Instant::now();
        let found = self.0.users().find_by_username(username).await?;
        if let (Some(ticket), Some(user)) = (ticket, &found)
            && let Some(text) = write(user)
        {
            let slot = CacheSlot { owner: Some(user.id), ..CacheSlot::user(username) };
            let lifetime = LIFETIME.saturating_sub(asked.elapsed());
            // A cache that does not answer is passed over.
            let _ = self.0.shared.put(&slot, &text, lifetime, &ticket).await;
        }
        Ok(found)
    }

    pub(super) async fn forget(self, username: &str) {
        if self.0.is_shared {
            // What could not be removed is not found any more, either.
            let _ = self.0.shared.remove(&CacheSlot::user(username)).await;
        }
    }
}

impl Users<'_> {
    /// The user with this name, as [`find_by_username`](Self::find_by_username), but looked up no more often than every
    /// five minutes where there is a cache that processes share. For showing users, not for deciding what they may do.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn look_up(self, username: &str) -> Result<Option<User>> {
        let cache = self.0.user_cache();
        let lookup = cache.look_up(username).await;
        if let Some(Lookup { found: Some(entry), .. }) = &lookup
            && let Some(user) = read(&entry.value)
        {
            return Ok(Some(user));
        }
        cache.load(username, lookup.map(|lookup| lookup.ticket)).await
    }
}

fn read(text: &str) -> Option<User> {
    let stored: StoredUser = serde_json::from_str(text).ok()?;
    Some(User {
        id: stored.id,
        username: stored.username,
        email: stored.email,
        email_verified_at: stored.email_verified_at,
        full_name: stored.full_name,
        role: UserRole::parse(&stored.role)?,
        is_active: stored.is_active,
        must_change_password: stored.must_change_password,
        metadata: CanonicalJson::parse(stored.metadata.get()).ok()?,
        created_at: stored.created_at,
        updated_at: stored.updated_at,
        external_namespace: stored.external_namespace,
        external_id: stored.external_id,
    })
}

fn write(user: &User) -> Option<String> {
    let User { id, email_verified_at, is_active, must_change_password, created_at, updated_at, .. } = *user;
    let stored = StoredUser {
        id,
        username: user.username.clone(),
        email: user.email.clone(),
        email_verified_at,
        full_name: user.full_name.clone(),
        role: user.role.as_str().to_owned(),
        is_active,
        must_change_password,
        metadata: RawValue::from_string(user.metadata.as_str().to_owned()).ok()?,
        created_at,
        updated_at,
        external_namespace: user.external_namespace.clone(),
        external_id: user.external_id.clone(),
    };
    serde_json::to_string(&stored).ok()
}
