//! Sessions as several processes remember them.

use std::time::{Duration, Instant};

use chatstore_model::{SessionState, Timestamp, UserId, UserRole};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cache::{CALLER_TTL, Cache as _};
use crate::changes::CallerChange;
use crate::error::Result;
use crate::security_event::SecurityEvent;
use crate::shared_cache::{CacheSlot, Cached, SharedCache};
use crate::store::Store;
use crate::token::AccessClaims;

/// A session that goes on, as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredSession {
    expires_at: Timestamp,
    last_activity: Timestamp,
    role: String,
    must_change_password: bool,
    used_counter: Option<i64>,
}

/// Sessions as several processes remember them for a few seconds, by the `jti` of their access tokens.
#[derive(Debug, Clone, Copy)]
pub struct SessionCache<'s>(&'s Store);

impl Store {
    /// Sessions as all processes with the same [`SharedCache`](crate::shared_cache::SharedCache) remember them, a maximum of
    /// four seconds. A store that was given none remembers them by itself, where they are not found here.
    #[must_use]
    pub const fn session_cache(&self) -> SessionCache<'_> {
        SessionCache(self)
    }
}

impl SessionCache<'_> {
    /// The session of this user that is remembered for this access token. `None` also while the cache does not answer.
    pub async fn get(self, user: UserId, access_jti: Uuid) -> Option<Cached<SessionState>> {
        if !self.0.is_shared {
            return None;
        }
        let entry = self.0.shared.get(&CacheSlot::session(user, access_jti)).await.ok()?.found?;
        let expires_at = self.0.now().plus(entry.expires_in);
        Some(Cached { value: read(&entry.value)?, expires_at })
    }

    /// Reads the session of an access token and remembers what the database says, unless it is changed meanwhile; nothing
    /// else is ever remembered. `None` for a token that is forged or expired, or whose session has ended. Must be called
    /// inside a Tokio runtime.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn set(self, access_token: &str) -> Result<Option<SessionState>> {
        let (auth, now) = (self.0.auth(), self.0.now());
        let Some(keys) = &self.0.identity.keys else { return Ok(None) };
        let Some(claims) = keys.verify_access(access_token, now) else { return Ok(None) };
        let load = auth.load(&claims, now);
        if !self.0.is_shared {
            return load.await;
        }
        let found = get_or_load(self.0.shared.as_ref(), &claims, |_| false, load).await?;
        Ok(found.map(|(state, _)| state))
    }

    /// Forgets what is remembered for this access token, and with it the other sessions of the user, in all processes, which
    /// ask the database from then on; while the cache does not answer, nothing of before is found once it answers again.
    /// What ends or changes a session does so by itself.
    pub async fn invalidate(self, user: UserId, access_jti: Uuid) {
        self.forget(&CacheSlot::session(user, access_jti)).await;
        SecurityEvent::CACHE_INVALIDATED.note(self.0, Some(user));
    }

    /// Forgets all sessions of a user, as [`invalidate`](Self::invalidate).
    pub async fn invalidate_all(self, user: UserId) {
        self.invalidate(user, Uuid::nil()).await;
    }

    async fn forget(self, slot: &CacheSlot) {
        self.0.callers.sessions.forget_all();
        if self.0.is_shared {
            // What could not be removed is not found any more, either.
            let _ = self.0.shared.remove(slot).await;
            // What was read from there before.
            self.0.callers.sessions.forget_all();
        }
        self.0.others.tell(CallerChange::Everything).await;
    }
}

/// The state of a session by its access token, and how long it may be taken for true: from the cache, or else what `load`
/// finds in the database, which is remembered from then on. `is_usable` says whether what the cache has is enough.
pub(super) async fn get_or_load(
    shared: &dyn SharedCache,
    claims: &AccessClaims,
    is_usable: impl Fn(&SessionState) -> bool + Send,
    load: impl Future<Output = Result<Option<SessionState>>> + Send,
) -> Result<Option<(SessionState, Duration)>> {
    let slot = CacheSlot::session(claims.user, claims.jti);
    let lookup = shared.get(&slot).await.ok();
    let entry = lookup.as_ref().and_then(|lookup| lookup.found.as_ref());
    if let Some(entry) = entry
        && let Some(state) = read(&entry.value).filter(is_usable)
    {
        return Ok(Some((state, entry.expires_in.min(CALLER_TTL))));
    }
    // What the database answers may be as old as the question.
    let asked = Instant::now();
    let Some(state) = load.await? else { return Ok(None) };
    if let (Some(lookup), Some(text)) = (lookup, write(&state)) {
        let lifetime = CALLER_TTL.saturating_sub(asked.elapsed());
        // A cache that does not answer is passed over.
        let _ = shared.put(&slot, &text, lifetime, &lookup.ticket).await;
    }
    Ok(Some((state, CALLER_TTL)))
}

fn read(text: &str) -> Option<SessionState> {
    let stored: StoredSession = serde_json::from_str(text).ok()?;
    Some(SessionState {
        expires_at: stored.expires_at,
        last_activity: stored.last_activity,
        revoked_at: None,
        role: Some(UserRole::parse(&stored.role)?),
        must_change_password: stored.must_change_password,
        used_counter: stored.used_counter,
    })
}

/// Only a session that goes on is remembered.
fn write(state: &SessionState) -> Option<String> {
    let role = state.role.filter(|_| state.revoked_at.is_none())?;
    let stored = StoredSession {
        expires_at: state.expires_at,
        last_activity: state.last_activity,
        role: role.as_str().to_owned(),
        must_change_password: state.must_change_password,
        used_counter: state.used_counter,
    };
    serde_json::to_string(&stored).ok()
}
