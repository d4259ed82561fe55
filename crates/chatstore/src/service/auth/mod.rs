//! Who a user is: passwords, sessions and the tokens that speak for them.

mod attempts;
mod confirmation;
mod login;
mod passwords;
mod provider;
mod refresh;
mod session_cache;
mod sessions;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use chatstore_model::{SessionId, Timestamp, User, UserId};
use chatstore_sql::{StoreError, WriteTx};

use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::password::{Busy, Permit};
use crate::security_event::SecurityEvent;
use crate::store::Store;

pub use login::LoginName;
pub use session_cache::SessionCache;

/// How long a session lasts without being carried on.
const IDLE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The maximum age of a session.
const ABSOLUTE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Where a request comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// The address of the client.
    pub address: Option<IpAddr>,
    /// What the client calls itself, of at most 512 characters.
    pub user_agent: Option<String>,
}

/// What becomes of a user's API keys when their sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnKeys {
    /// They stay good.
    Keep,
    /// They are revoked in the same transaction.
    Revoke,
}

impl OwnKeys {
    async fn settle(self, tx: &mut WriteTx<'_>, user: UserId) -> std::result::Result<(), StoreError> {
        match self {
            Self::Keep => Ok(()),
            Self::Revoke => tx.api_keys().revoke_all(user).await.map(|_| ()),
        }
    }

    fn note(self, store: &Store, user: UserId) {
        if self == Self::Revoke {
            SecurityEvent::KEYS_REVOKED.note(store, Some(user));
        }
    }
}

/// What a login or a refresh gives. The tokens are shown this once.
#[derive(Clone)]
pub struct Tokens {
    /// Lets its holder in.
    pub access_token: String,
    /// Until when.
    pub access_expires_at: Timestamp,
    /// Gives the next tokens, once.
    pub refresh_token: String,
    /// Until when.
    pub refresh_expires_at: Timestamp,
    /// The session.
    pub session_id: SessionId,
    /// Whose it is.
    pub user: User,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tokens")
            .field("session_id", &self.session_id)
            .field("user", &self.user.id)
            .finish_non_exhaustive()
    }
}

/// Registration, login and sessions. Nothing here asks what the caller may do: it is for the application itself.
#[derive(Debug, Clone)]
pub struct Auth<'s> {
    store: &'s Store,
    origin: ClientInfo,
}

impl Store {
    /// Registration, login and sessions. Nothing here asks what the caller may do: it is for the application
    /// itself.
    #[must_use]
    pub fn auth(&self) -> Auth<'_> {
        Auth { store: self, origin: ClientInfo::default() }
    }
}

impl<'s> Auth<'s> {
    /// The same for a request from somewhere.
    #[must_use]
    pub fn from(mut self, origin: ClientInfo) -> Self {
        self.origin = origin;
        self
    }

    /// Whether a password would be checked now. Otherwise what has to do with one is `Overloaded`; to ask before
    /// spares the work of reading who it is.
    #[must_use]
    pub fn takes_passwords(&self) -> bool {
        self.identity().passwords.has_capacity(self.network())
    }

    /// Whether users log in with passwords. Where they do not, what has to do with one is `Forbidden`.
    #[must_use]
    pub fn has_local_passwords(&self) -> bool {
        self.identity().has_local_passwords
    }

    fn require_local_passwords(&self) -> Result<()> {
        match self.has_local_passwords() {
            true => Ok(()),
            false => Err(Error::forbidden("passwords are switched off; sign in with the identity provider")),
        }
    }

    fn identity(&self) -> &'s Identity {
        &self.store.identity
    }

    /// A permit to have a password hashed, as a client of this network.
    fn permit(&self) -> Result<Permit> {
        Ok(self.identity().passwords.permit_for(self.network())?)
    }
}

impl From<Busy> for Error {
    fn from(_: Busy) -> Self {
        Self::overloaded()
    }
}
