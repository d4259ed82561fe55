//! The sessions of a user: who is let in, and until when.

use std::sync::Arc;
use std::time::Duration;

use chatstore_model::{
    EndReason, Limit, Page, Session, SessionId, SessionPosition, SessionState, Timestamp, UserId,
};
use chatstore_sql::{ReadTx, WriteTx};

use super::session_cache::get_or_load;
use super::{Auth, OwnKeys};
use crate::cache::{CALLER_TTL, Cache, SessionKey};
use crate::changes::CallerChange;
use crate::error::Result;
use crate::principal::{Credential, Principal};
use crate::security_event::SecurityEvent;
use crate::token::AccessClaims;

/// How long a request waits until the first use of the tokens of a refresh is written down. It is written down all the
/// same when that takes longer.
const FIRST_USE_WAIT: Duration = Duration::from_millis(250);

/// A session's last use is written down no more often than this.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Whether an access token was given with a later refresh token than any whose use is known.
fn is_first_use(claims: &AccessClaims, state: &SessionState) -> bool {
    claims.counter > state.used_counter.unwrap_or_default()
}

impl Auth<'_> {
    /// Whose access token this is; `None` for a text that is none, and for one that is forged or expired or
    /// whose session has ended or belongs to a disabled user. Must be called inside a Tokio runtime.
    ///
    /// A session that was ended by this process is refused at once, by another within 5 seconds.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn verify(self, access_token: &str) -> Result<Option<Principal>> {
        let Some(keys) = &self.identity().keys else { return Ok(None) };
        let now = self.store.now();
        let Some(claims) = keys.verify_access(access_token, now) else { return Ok(None) };
        let key = SessionKey(claims.user, claims.session);
        let sessions = &self.store.callers.sessions;
        let mut found = sessions.get_or_load_for(&key, || self.session_state(&claims, now)).await?;
        if found.is_some_and(|state| is_first_use(&claims, &state)) {
            sessions.forget(&key);
            found = sessions.get_or_load_for(&key, || self.session_state(&claims, now)).await?;
        }
        let Some(state) = found else { return Ok(None) };
        let Some(role) = state.role.filter(|_| state.is_valid_at(now)) else { return Ok(None) };
        Ok(Some(Principal {
            user_id: claims.user,
            role,
            credential: Credential::Session(claims.session),
            must_change_password: state.must_change_password,
            rights: Arc::default(),
            expires_at: Some(claims.expires_at),
        }))
    }

    /// The state of a session that goes on, and how long it may be taken for true: as other processes know it, or else as
    /// the database does.
    async fn session_state(
        &self,
        claims: &AccessClaims,
        now: Timestamp,
    ) -> Result<Option<(SessionState, Duration)>> {
        let load = self.load(claims, now);
        if !self.store.is_shared {
            return Ok(load.await?.map(|state| (state, CALLER_TTL)));
        }
        let is_usable = |state: &SessionState| !is_first_use(claims, state);
        get_or_load(self.store.shared.as_ref(), claims, is_usable, load).await
    }

    /// The state of a session that goes on, as it is once this access token was used.
    pub(super) async fn load(&self, claims: &AccessClaims, now: Timestamp) -> Result<Option<SessionState>> {
        let (user, session) = (claims.user, claims.session);
        let found = self
            .store
            .read("session_verify", async move |tx| tx.sessions().state(user, session).await)
            .await?;
        let Some(mut state) = found.filter(|state| state.is_valid_at(now)) else { return Ok(None) };
        self.note_use(user, session, &state, now);
        if is_first_use(claims, &state) {
            self.note_first_use(claims).await;
            state.used_counter = Some(claims.counter);
        }
        Ok(Some(state))
    }

    /// Writes down that the tokens of a refresh are in use: those before them are good for nothing from now on.
    async fn note_first_use(&self, claims: &AccessClaims) {
        let (user, session, counter) = (claims.user, claims.session, claims.counter);
        let store = self.store.clone();
        let noted = tokio::spawn(async move {
            let note =
                async move |tx: &mut WriteTx<'_>| tx.sessions().note_used(user, session, counter).await;
            if let Err(error) = store.write("session_note_used", note).await {
                tracing::debug!(%error, "the first use of a session's newest tokens was not written down");
            }
        });
        let is_late = tokio::time::timeout(FIRST_USE_WAIT, noted).await.is_err();
        if is_late {
            tracing::debug!("the first use of a session's newest tokens is still being written down");
        }
    }

    /// Writes the use down without making the request wait for it.
    fn note_use(&self, user: UserId, session: SessionId, state: &SessionState, now: Timestamp) {
        if now < state.last_activity.plus(TOUCH_EVERY) {
            return;
        }
        let store = self.store.clone();
        tokio::spawn(async move {
            let noted = store
                .write("session_touch", async move |tx| tx.sessions().touch(user, session, now).await)
                .await;
            if let Err(error) = noted {
                tracing::debug!(%error, "a session's last use was not written down");
            }
        });
    }

    /// Sessions of a user that go on, the last used first.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn page(
        self,
        user: UserId,
        from: Option<SessionPosition>,
        limit: Limit,
    ) -> Result<Page<Session, SessionPosition>> {
        let page = async move |tx: &mut ReadTx<'_>| tx.sessions().page(user, from, limit).await;
        Ok(self.store.read("session_page", page).await?)
    }

    /// Ends the caller's session, in this process at once, in others within 5 seconds.
    ///
    /// # Errors
    /// `NotFound` when it has ended already.
    pub async fn logout(self, user: UserId, session: SessionId) -> Result<()> {
        self.end(user, session, EndReason::Logout).await?;
        SecurityEvent::LOGGED_OUT.note_in(self.store, user, session);
        Ok(())
    }

    /// Ends a session of a user, in this process at once, in others within 5 seconds.
    ///
    /// # Errors
    /// `NotFound`, also when it has ended already.
    pub async fn revoke(self, user: UserId, session: SessionId) -> Result<()> {
        self.end(user, session, EndReason::Revoked).await?;
        SecurityEvent::SESSION_REVOKED.note_in(self.store, user, session);
        Ok(())
    }

    async fn end(&self, user: UserId, session: SessionId, reason: EndReason) -> Result<()> {
        self.store
            .write("session_end", async move |tx| tx.sessions().end(user, session, reason).await)
            .await?;
        self.store.changed(CallerChange::Session(user, session)).await;
        Ok(())
    }

    /// Ends all sessions of a user, and revokes their API keys where that is said, in this process at once, in others
    /// within 5 seconds.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn logout_all(self, user: UserId, keys: OwnKeys) -> Result<()> {
        let end = async move |tx: &mut WriteTx<'_>| {
            tx.sessions().end_all(user, EndReason::LogoutAll).await?;
            keys.settle(tx, user).await
        };
        self.store.write("session_end_all", end).await?;
        self.store.changed(CallerChange::Everything).await;
        SecurityEvent::LOGGED_OUT_EVERYWHERE.note(self.store, Some(user));
        keys.note(self.store, user);
        Ok(())
    }
}
