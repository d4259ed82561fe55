//! Who a request comes from.

use std::sync::Arc;

use chatstore_model::{ApiKeyId, ApiKeyScope, KeyRights, SessionId, Timestamp, UserId, UserRole};

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
    /// None that the store knows: the application that embeds it says who it is.
    Application,
}

impl Credential {
    /// Whether it is that of a whole application, which names the user of each request.
    #[must_use]
    pub const fn is_service(self) -> bool {
        matches!(self, Self::Key { scope: ApiKeyScope::Service, .. })
    }

    /// Whether it is an API key.
    #[must_use]
    pub const fn is_key(self) -> bool {
        matches!(self, Self::Key { .. })
    }
}

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user_id: UserId,
    /// The user's role.
    pub role: UserRole,
    /// What the user showed.
    pub credential: Credential,
    /// Whether the user must change the password before anything else; never with a token of an identity provider. Keys
    /// of such a user are good for nothing until then.
    pub must_change_password: bool,
    /// What the key may do; everything in a session.
    pub rights: Arc<KeyRights>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Principal {
    /// Whether it is a whole application, which names the user of each request.
    #[must_use]
    pub const fn is_service(&self) -> bool {
        self.credential.is_service()
    }
}

/// A user that a service acts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActingUser {
    /// Who.
    pub user_id: UserId,
    /// The user's role.
    pub role: UserRole,
    /// The namespace of the user's external id.
    pub external_namespace: Option<String>,
}
