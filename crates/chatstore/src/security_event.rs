//! Events that those who watch over a server want to know, for the log.
//!
//! They hold ids only: what a user typed cannot forge a line, and nothing has to be removed when a user is
//! erased. The request they belong to, and where it came from, is said by the span around them.

use chatstore_model::{SessionId, UserId};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SecurityEvent(&'static str);

impl SecurityEvent {
    pub(crate) const USER_REGISTERED: Self = Self("user_registered");
    pub(crate) const LOGIN_SUCCEEDED: Self = Self("login_succeeded");
    pub(crate) const LOGIN_FAILED: Self = Self("login_failed");
    pub(crate) const LOGIN_LIMITED: Self = Self("login_limited");
    pub(crate) const PASSWORD_UPGRADED: Self = Self("password_upgraded");
    pub(crate) const PASSWORD_CHANGED: Self = Self("password_changed");
    pub(crate) const PASSWORD_CHANGE_FAILED: Self = Self("password_change_failed");
    pub(crate) const PASSWORD_SET: Self = Self("password_set");
    pub(crate) const REFRESH_TOKEN_REUSED: Self = Self("refresh_token_reused");
    pub(crate) const LOGGED_OUT: Self = Self("logged_out");
    pub(crate) const LOGGED_OUT_EVERYWHERE: Self = Self("logged_out_everywhere");
    pub(crate) const SESSION_REVOKED: Self = Self("session_revoked");
    pub(crate) const USER_DISABLED: Self = Self("user_disabled");
    pub(crate) const USER_ERASED: Self = Self("user_erased");
    pub(crate) const ROLE_CHANGED: Self = Self("role_changed");
    pub(crate) const USER_PROVISIONED: Self = Self("user_provisioned");
    pub(crate) const IDENTITY_LINKED: Self = Self("identity_linked");
    pub(crate) const IDENTITY_UNLINKED: Self = Self("identity_unlinked");
    pub(crate) const KEY_CREATED: Self = Self("key_created");
    pub(crate) const KEY_REVOKED: Self = Self("key_revoked");

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
        let Self(event) = self;
        // A token that two hold was stolen, as far as one can tell.
        if self == Self::REFRESH_TOKEN_REUSED {
            tracing::warn!(target: "chatstore::security", event, user.id = user, session.id = session, "security");
        } else {
            tracing::info!(target: "chatstore::security", event, user.id = user, session.id = session, "security");
        }
    }
}
