//! Sessions and the refresh tokens that carry them on; of a token only a hash is stored.

use uuid::Uuid;

use crate::keyword::keywords;
use crate::{RefreshTokenId, SessionId, TextField, Timestamp, UserId, UserRole, Validate, Validator, limits};

/// What the client of a session calls itself.
pub const USER_AGENT: TextField = TextField::new("user_agent").at_most(limits::USER_AGENT);

/// The address that a session is begun from.
pub const IP: TextField = TextField::new("ip").at_most(limits::USER_AGENT);

keywords! {
    /// Why a session was ended before its time.
    pub enum EndReason {
        /// The user logged out.
        Logout = "logout",
        /// The user ended all sessions.
        LogoutAll = "logout_all",
        /// The user revoked this session from another one.
        Revoked = "revoked",
        /// The password was changed.
        PasswordChanged = "password_changed",
        /// The user was disabled.
        Disabled = "disabled",
        /// A refresh token was used a second time, which means that two hold it.
        Reuse = "reuse",
    }
}

/// A session: what began with one login and lasts until it is ended or too old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub user_id: UserId,
    /// The id.
    pub id: SessionId,
    /// The `jti` of its newest access token.
    pub access_jti: Uuid,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// The address it was begun from.
    pub ip: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_activity: Timestamp,
    /// When it ends unless it is carried on.
    pub expires_at: Timestamp,
    /// When it was ended before its time.
    pub revoked_at: Option<Timestamp>,
    /// Why.
    pub revoke_reason: Option<EndReason>,
}

/// What decides whether an access token is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionState {
    /// When it ends unless it is carried on.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_activity: Timestamp,
    /// When it was ended before its time.
    pub revoked_at: Option<Timestamp>,
    /// The user's role while the user is active.
    pub role: Option<UserRole>,
    /// Whether the user must change the password before anything else.
    pub must_change_password: bool,
    /// The highest counter of a refresh token of the session such that it, or an access token given with it, was used;
    /// `None` before the first was.
    pub used_counter: Option<i64>,
}

impl SessionState {
    /// Whether the session is neither ended nor expired at this instant, and its user active.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at && self.role.is_some()
    }
}

/// A session to be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The id, which its first refresh token carries.
    pub id: SessionId,
    /// The `jti` of its first access token.
    pub access_jti: Uuid,
    /// What the client calls itself; a maximum of 512 characters.
    pub user_agent: Option<String>,
    /// The address it is begun from.
    pub ip: Option<String>,
    /// When it ends unless it is carried on.
    pub expires_at: Timestamp,
}

impl Validate for NewSession {
    fn check(&self, validator: &mut Validator) {
        USER_AGENT.check(validator, self.user_agent.as_deref());
        IP.check(validator, self.ip.as_deref());
    }
}

/// A refresh token, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Whose it is.
    pub user_id: UserId,
    /// The id.
    pub id: RefreshTokenId,
    /// The session that it carries on.
    pub session_id: SessionId,
    /// The token that it came from; `None` for a session's first.
    pub parent_id: Option<RefreshTokenId>,
    /// Its place in the session: 0 for the first.
    pub counter: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was exchanged for its successor.
    pub rotated_at: Option<Timestamp>,
    /// When its successor was first used, which shows that its holder has it.
    pub confirmed_at: Option<Timestamp>,
    /// When it expires, unless it was exchanged before.
    pub expires_at: Timestamp,
    /// When it was revoked with its session.
    pub revoked_at: Option<Timestamp>,
}

/// A refresh token to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRefreshToken {
    /// SHA-256 of its text.
    pub token_hash: [u8; 32],
    /// When it expires, unless it is exchanged before.
    pub expires_at: Timestamp,
}
