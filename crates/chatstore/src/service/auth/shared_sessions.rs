//! Sessions as several processes remember them.

use std::time::{Duration, Instant};

use chatstore_model::{SessionState, Timestamp, UserRole};
use serde::{Deserialize, Serialize};

use crate::cache::CALLER_TTL;
use crate::error::Result;
use crate::shared_cache::{CacheSlot, SharedCache};
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
