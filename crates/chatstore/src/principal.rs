//! Who a request comes from.

use chatstore_model::{ApiKeyId, ApiKeyScope, SessionId, Timestamp, UserId, UserRole};

/// What a caller showed to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// An API key.
    Key {
        /// Which.
        id: ApiKeyId,
        /// Whether it speaks for its user or for a whole application.
        scope: ApiKeyScope,
    },
    /// An access token of a session.
    Session(SessionId),
    /// A token of an identity provider.
    Provider,
}

/// Who a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user_id: UserId,
    /// The user's role.
    pub role: UserRole,
    /// What the user showed.
    pub credential: Credential,
    /// Whether the user must change the password before anything else; never with an API key or a token of an identity
    /// provider.
    pub must_change_password: bool,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Principal {
    /// Whether it is a whole application, which names the user of each request.
    #[must_use]
    pub const fn is_service(&self) -> bool {
        matches!(self.credential, Credential::Key { scope: ApiKeyScope::Service, .. })
    }
}

/// A user that a service acts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActingUser {
    /// Who.
    pub user_id: UserId,
    /// The user's role.
    pub role: UserRole,
}
