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

/// What logins and sessions need beside the database.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) passwords: Passwords,
    pub(crate) keys: Option<TokenKeys>,
    pub(crate) limiter: Arc<dyn Limiter>,
    /// Failed logins of one account in a minute; one address may fail ten times as often.
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

    /// How often one account may fail.
    pub(crate) fn account_quota(&self) -> Option<Quota> {
        self.failures.map(|count| Quota { count, period: FAILURES_PERIOD })
    }

    /// How often one address may fail.
    pub(crate) fn address_quota(&self) -> Option<Quota> {
        self.failures.map(|count| Quota { count: count.saturating_mul(10), period: FAILURES_PERIOD })
    }
}
