//! Who a user is: passwords, sessions and the tokens that speak for them.

mod login;
mod passwords;
mod provider;
mod refresh;
mod sessions;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use chatstore_model::{SessionId, Timestamp, User};

use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::limit::{LimitKey, Permission, Quota};
use crate::password::Busy;
use crate::security_event::SecurityEvent;
use crate::store::Store;

pub use login::LoginName;

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
        self.identity().passwords.has_capacity()
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

    /// Does what fails for want of the right password, unless account or address failed too often lately. A
    /// place is taken before, so that attempts at the same moment are counted too, and given back unless the
    /// password was wrong.
    async fn limited<T>(&self, account: LimitKey, work: impl Future<Output = Result<T>>) -> Result<T> {
        let address = LimitKey::login_address(self.origin.address);
        let identity = self.identity();
        let (Some(of_account), Some(of_address)) = (identity.account_quota(), identity.address_quota())
        else {
            return work.await;
        };
        self.take(&account, of_account).await?;
        if let Err(error) = self.take(&address, of_address).await {
            identity.limiter.give_back(&account, of_account).await;
            return Err(error);
        }
        let outcome = work.await;
        let is_wrong = outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidCredentials);
        if !is_wrong {
            identity.limiter.give_back(&account, of_account).await;
            identity.limiter.give_back(&address, of_address).await;
        }
        outcome
    }

    async fn take(&self, key: &LimitKey, quota: Quota) -> Result<()> {
        match self.identity().limiter.take(key, quota, self.store.now()).await {
            Permission::Granted => Ok(()),
            Permission::Refused { retry_after } => {
                SecurityEvent::LOGIN_LIMITED.note(None);
                Err(Error::limit_reached(retry_after))
            }
        }
    }
}

impl From<Busy> for Error {
    fn from(_: Busy) -> Self {
        Self::overloaded()
    }
}
