//! Carrying a session on.

use chatstore_sql::{Presented, Rotation};

use super::login::tokens;
use super::{ABSOLUTE, Auth, IDLE, Tokens};
use crate::cache::{Cache, SessionKey};
use crate::changes::CallerChange;
use crate::error::{Error, Result};
use crate::security_event::SecurityEvent;
use crate::token::RefreshText;

impl Auth<'_> {
    /// Exchanges a refresh token for the next one and a new access token.
    ///
    /// The same token may be shown again by a client whose answer was lost, or by another tab: it gives the same next
    /// token and another access token, for 24 hours while neither was used, and for 10 seconds while only an access
    /// token was. Showing it ends the session after that, and once the next one was used.
    ///
    /// # Errors
    /// `InvalidCredentials` for a token that is unknown, expired, revoked or used before; `Internal`
    /// without token keys; `Forbidden` where passwords are switched off: no session outlives them by more than the ten
    /// minutes of an access token.
    pub async fn refresh(self, text: &str) -> Result<Tokens> {
        self.require_local_passwords()?;
        let keys = self.identity().keys()?;
        let Some(token) = RefreshText::parse(text) else { return Err(Error::invalid_credentials()) };
        let mut successors = token.successors(keys);
        let now = self.store.now();
        let access_jti = self.store.database.ids().uuid(now);
        let presented = Presented {
            user_id: token.user,
            session_id: token.session,
            token_hash: token.hash,
            successors: successors.iter().map(|successor| successor.hash).collect(),
            access_jti,
            idle: IDLE,
            absolute: ABSOLUTE,
        };
        let key = SessionKey(token.user, token.session);
        let rotation =
            self.store.write("refresh", async move |tx| tx.refresh_tokens().rotate(&presented).await).await?;
        match rotation {
            Rotation::Successor { user, index, expires_at } if index < successors.len() => {
                self.store.callers.sessions.forget(&key);
                let successor = successors.swap_remove(index);
                Ok(tokens(keys, *user, &successor, access_jti, now, expires_at))
            }
            Rotation::Reused => {
                self.store.changed(CallerChange::Session(token.user, token.session)).await;
                SecurityEvent::REFRESH_TOKEN_REUSED.note_in(self.store, token.user, token.session);
                Err(Error::invalid_credentials())
            }
            Rotation::Refused | Rotation::Successor { .. } => Err(Error::invalid_credentials()),
        }
    }
}
