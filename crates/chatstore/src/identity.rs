//! What passwords, logins and sessions need beside the database.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::identity_provider::IdentityProvider;
use crate::limit::{Limiter, LocalLimiter, Quota};
use crate::password::Passwords;
use crate::token::TokenKeys;

/// In how long failures are counted.
const FAILURES_PERIOD: Duration = Duration::from_secs(60);

/// So many times as often as one account from one address may one address fail, and one account from everywhere.
const FAILURES_TIMES: u32 = 10;

/// So many times as often may one address log in.
const LOGINS_TIMES: u32 = 60;

/// What logins and sessions need beside the database.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) passwords: Passwords,
    pub(crate) keys: Option<TokenKeys>,
    pub(crate) limiter: Arc<dyn Limiter>,
    /// Failed logins of one account from one address in a minute, of which the other figures are multiples.
    pub(crate) failures: Option<u32>,
    pub(crate) has_local_passwords: bool,
    pub(crate) provider: Option<Arc<dyn IdentityProvider>>,
    /// Whether the first token of a person whom no user is creates one.
    pub(crate) creates_users: bool,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            passwords: Passwords::new(),
            keys: None,
            limiter: Arc::new(LocalLimiter::default()),
            failures: Some(10),
            has_local_passwords: true,
            provider: None,
            creates_users: false,
        }
    }
}

impl Identity {
    pub(crate) fn keys(&self) -> Result<&TokenKeys> {
        self.keys.as_ref().ok_or_else(Error::no_token_keys)
    }

    /// How often one account may fail from one address.
    pub(crate) fn account_quota(&self) -> Option<Quota> {
        self.quota(1)
    }

    /// How often one account may fail from everywhere before its logins become slow.
    pub(crate) fn everywhere_quota(&self) -> Option<Quota> {
        self.quota(FAILURES_TIMES)
    }

    /// How often one address may fail.
    pub(crate) fn address_quota(&self) -> Option<Quota> {
        self.quota(FAILURES_TIMES)
    }

    /// How often one address may log in, rightly or not.
    pub(crate) fn logins_quota(&self) -> Option<Quota> {
        self.quota(LOGINS_TIMES)
    }

    fn quota(&self, times: u32) -> Option<Quota> {
        self.failures.map(|count| Quota { count: count.saturating_mul(times), period: FAILURES_PERIOD })
    }
}
