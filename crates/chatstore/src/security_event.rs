//! Events that those who watch over a server want to know, for the log.
//!
//! They hold ids only: what a user typed cannot forge a line, and nothing has to be removed when a user is
//! erased. The request they belong to, and where it came from, is said by the span around them.

use chatstore_model::{SessionId, UserId};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecurityEvent {
    UserRegistered,
    LoginSucceeded,
    LoginFailed,
    LoginLimited,
    PasswordUpgraded,
    PasswordChanged,
    PasswordChangeFailed,
    PasswordSet,
    RefreshTokenReused,
    LoggedOut,
    LoggedOutEverywhere,
    SessionRevoked,
    UserDisabled,
    UserErased,
    RoleChanged,
    KeyCreated,
    KeyRevoked,
}

impl SecurityEvent {
    const fn name(self) -> &'static str {
        match self {
            Self::UserRegistered => "user_registered",
            Self::LoginSucceeded => "login_succeeded",
            Self::LoginFailed => "login_failed",
            Self::LoginLimited => "login_limited",
            Self::PasswordUpgraded => "password_upgraded",
            Self::PasswordChanged => "password_changed",
            Self::PasswordChangeFailed => "password_change_failed",
            Self::PasswordSet => "password_set",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::LoggedOut => "logged_out",
            Self::LoggedOutEverywhere => "logged_out_everywhere",
            Self::SessionRevoked => "session_revoked",
            Self::UserDisabled => "user_disabled",
            Self::UserErased => "user_erased",
            Self::RoleChanged => "role_changed",
            Self::KeyCreated => "key_created",
            Self::KeyRevoked => "key_revoked",
        }
    }

    /// Notes that it happened to a user; to no known user when there is none.
    pub(crate) fn note(self, user: Option<UserId>) {
        self.note_with(user, None);
    }

    /// Notes that it happened to a session of a user.
    pub(crate) fn note_in(self, user: UserId, session: SessionId) {
        self.note_with(Some(user), Some(session));
    }

    fn note_with(self, user: Option<UserId>, session: Option<SessionId>) {
        let (user, session) = (user.map(tracing::field::display), session.map(tracing::field::display));
        let event = self.name();
        // A token that two hold was stolen, as far as one can tell.
        if self == Self::RefreshTokenReused {
            tracing::warn!(target: "chatstore::security", event, user.id = user, session.id = session, "security");
        } else {
            tracing::info!(target: "chatstore::security", event, user.id = user, session.id = session, "security");
        }
    }
}
