//! The sessions of a user: who is let in, and until when.

use std::time::Duration;

use chatstore_model::{
    EndReason, Limit, Page, Session, SessionId, SessionPosition, SessionState, Timestamp, UserId,
};
use chatstore_sql::{ReadTx, WriteTx};

use super::Auth;
use crate::cache::{Cache, SessionKey};
use crate::error::Result;
use crate::principal::{Credential, Principal};
use crate::security_event::SecurityEvent;

/// A session's last use is written down no more often than this.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

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
        let load = self.load(claims.user, claims.session, now);
        let Some(state) = self.store.callers.sessions.get_or_load(&key, load).await? else {
            return Ok(None);
        };
        let Some(role) = state.role.filter(|_| state.is_valid_at(now)) else { return Ok(None) };
        Ok(Some(Principal {
            user_id: claims.user,
            role,
            credential: Credential::Session(claims.session),
            must_change_password: state.must_change_password,
            expires_at: Some(claims.expires_at),
        }))
    }

    /// The state of a session that goes on.
    async fn load(&self, user: UserId, session: SessionId, now: Timestamp) -> Result<Option<SessionState>> {
        let found = self
            .store
            .read("session_verify", async move |tx| tx.sessions().state(user, session).await)
            .await?;
        let valid = found.filter(|state| state.is_valid_at(now));
        if let Some(state) = &valid {
            self.note_use(user, session, state, now);
        }
        Ok(valid)
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
        SecurityEvent::LOGGED_OUT.note_in(user, session);
        Ok(())
    }

    /// Ends a session of a user, in this process at once, in others within 5 seconds.
    ///
    /// # Errors
    /// `NotFound`, also when it has ended already.
    pub async fn revoke(self, user: UserId, session: SessionId) -> Result<()> {
        self.end(user, session, EndReason::Revoked).await?;
        SecurityEvent::SESSION_REVOKED.note_in(user, session);
        Ok(())
    }

    async fn end(&self, user: UserId, session: SessionId, reason: EndReason) -> Result<()> {
        self.store
            .write("session_end", async move |tx| tx.sessions().end(user, session, reason).await)
            .await?;
        self.store.callers.sessions.forget(&SessionKey(user, session)).await;
        Ok(())
    }

    /// Ends all sessions of a user, in this process at once, in others within 5 seconds. API keys stay.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn logout_all(self, user: UserId) -> Result<()> {
        let end = async move |tx: &mut WriteTx<'_>| tx.sessions().end_all(user, EndReason::LogoutAll).await;
        self.store.write("session_end_all", end).await?;
        self.store.callers.forget_all().await;
        SecurityEvent::LOGGED_OUT_EVERYWHERE.note(Some(user));
        Ok(())
    }
}
