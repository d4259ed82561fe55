//! Registration and login.

use chatstore_model::{
    IntoValid, NewRefreshToken, NewSession, NewUser, PasswordHash, SessionId, Timestamp, User, UserId,
};
use chatstore_sql::{StoreError, Tx, WriteTx};
use uuid::Uuid;

use super::{Auth, IDLE, Tokens};
use crate::error::{Error, Result};
use crate::limit::LimitKey;
use crate::password::{Password, Verification};
use crate::security_event::SecurityEvent;
use crate::token::{AccessClaims, RefreshText, TokenKeys};

/// The name a user logs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginName {
    /// A user name; also an e-mail address, when no user has it as a name and it has an `@`.
    Username(String),
    /// An e-mail address.
    Email(String),
}

impl LoginName {
    fn text(&self) -> &str {
        match self {
            Self::Username(text) | Self::Email(text) => text,
        }
    }
}

type Found = Option<(User, Option<PasswordHash>)>;

/// The user of this name. Whether there is one changes nothing about what is done to find out.
async fn find<M>(tx: &mut Tx<'_, M>, name: &LoginName) -> std::result::Result<Found, StoreError> {
    match name {
        LoginName::Email(email) => tx.passwords().find_by_email(email).await,
        LoginName::Username(name) => {
            let by_username = tx.passwords().find_by_username(name).await?;
            let by_email = if name.contains('@') { tx.passwords().find_by_email(name).await? } else { None };
            Ok(by_username.or(by_email))
        }
    }
}

impl Auth<'_> {
    /// Creates a user who can log in, without any role but `user`, whatever `new` says. Counts for the address
    /// as a failed login does.
    ///
    /// # Errors
    /// `Invalid`, also for a password that is too short, too long or common; `AlreadyExists` with field
    /// `username` or `email`; `LimitReached`; `Overloaded`.
    pub async fn register(self, new: impl IntoValid<NewUser>, password: Password) -> Result<User> {
        if let Some(quota) = self.identity().address_quota() {
            self.take(&LimitKey::login_address(self.origin.address), quota).await?;
        }
        let new = new.into_valid()?.as_registration();
        let user = self.store.users().create_with_password(new, password).await?;
        SecurityEvent::USER_REGISTERED.note(Some(user.id));
        Ok(user)
    }

    /// Starts a session. A hash of an older kind is replaced by one of today's.
    ///
    /// Whether the name is unknown, the password is wrong, or the user is disabled or has no password, cannot
    /// be told from the answer, nor from the time it takes.
    ///
    /// # Errors
    /// `InvalidCredentials`; `LimitReached` after too many failures of the account or the address;
    /// `Overloaded` when too many passwords are being checked; `Internal` without token keys.
    pub async fn login(self, name: LoginName, password: Password) -> Result<Tokens> {
        let account = LimitKey::login_account(name.text());
        self.limited(account, self.authenticate(name, password)).await
    }

    async fn authenticate(&self, name: LoginName, password: Password) -> Result<Tokens> {
        // Another login of the user may have replaced an older hash of the same password since it was read.
        for _ in 0..2 {
            if let Some(tokens) = self.start_session_once(&name, &password).await? {
                SecurityEvent::LOGIN_SUCCEEDED.note_in(tokens.user.id, tokens.session_id);
                return Ok(tokens);
            }
        }
        SecurityEvent::LOGIN_FAILED.note(None);
        Err(Error::invalid_credentials())
    }

    /// Starts a session; `None` when the user was changed since the password was checked.
    async fn start_session_once(&self, name: &LoginName, password: &Password) -> Result<Option<Tokens>> {
        let keys = self.identity().keys()?;
        let permit = self.identity().passwords.permit()?;
        let name = name.clone();
        let found = self.store.read("login_find", async move |tx| find(tx, &name).await).await?;
        let user = found.as_ref().map(|(user, _)| user.id);
        let hash = found
            .filter(|(user, _)| user.is_active && user.id != UserId::ANONYMOUS)
            .and_then(|(_, hash)| hash);
        let verification = permit.verify(password.clone(), hash.clone()).await?;
        let (Some(user), Some(hash), Verification::Right | Verification::NeedsRehash) =
            (user, hash, verification)
        else {
            SecurityEvent::LOGIN_FAILED.note(user);
            return Err(Error::invalid_credentials());
        };
        let replacement = match verification {
            Verification::NeedsRehash => {
                Some(permit.hash(password.clone(), &self.store.database.ids()).await?)
            }
            _ => None,
        };
        let is_upgrade = replacement.is_some();
        let tokens = self.start_session(keys, user, hash, replacement).await?;
        if is_upgrade && tokens.is_some() {
            SecurityEvent::PASSWORD_UPGRADED.note(Some(user));
        }
        Ok(tokens)
    }

    /// Starts a session of a user, unless the password was changed or the user disabled since it was checked.
    async fn start_session(
        &self,
        keys: &TokenKeys,
        user: UserId,
        verified: PasswordHash,
        replacement: Option<PasswordHash>,
    ) -> Result<Option<Tokens>> {
        let (now, ids) = (self.store.now(), self.store.database.ids());
        let session_id = SessionId::from_uuid(ids.uuid(now));
        let refresh = RefreshText::first(user, session_id, &ids);
        let access_jti = ids.uuid(now);
        let expires_at = now.plus(IDLE);
        let new = NewSession {
            id: session_id,
            access_jti,
            user_agent: self.origin.user_agent.clone(),
            ip: self.origin.address.map(|address| address.to_canonical().to_string()),
            expires_at,
        };
        let token = NewRefreshToken { token_hash: refresh.hash, expires_at };
        let begin = async move |tx: &mut WriteTx<'_>| -> Result<Option<User>> {
            let Some((found, Some(hash))) = tx.passwords().lock(user).await? else { return Ok(None) };
            if !found.is_active || hash != verified {
                return Ok(None);
            }
            if let Some(replacement) = &replacement {
                tx.passwords().replace(user, &verified, replacement).await?;
            }
            tx.sessions().begin(user, &new, &token).await?;
            Ok(Some(found))
        };
        let Some(user) = self.store.write("login", begin).await? else { return Ok(None) };
        Ok(Some(tokens(keys, user, &refresh, access_jti, now, expires_at)))
    }
}

/// The tokens of a session.
pub(super) fn tokens(
    keys: &TokenKeys,
    user: User,
    refresh: &RefreshText,
    access_jti: Uuid,
    now: Timestamp,
    refresh_expires_at: Timestamp,
) -> Tokens {
    let claims = AccessClaims::new(user.id, refresh.session, access_jti, now);
    Tokens {
        access_token: keys.access_token(&claims),
        access_expires_at: claims.expires_at,
        refresh_token: refresh.text.clone(),
        refresh_expires_at,
        session_id: refresh.session,
        user,
    }
}
