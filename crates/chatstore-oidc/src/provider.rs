//! One provider: its keys, when they are fetched, and for how long they are used.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chatstore::Timestamp;
use chatstore::auth::ProviderUnavailable;
use tokio::sync::{Mutex, Semaphore};

use crate::fetch::{Client, FetchError};
use crate::issuer::Issuer;
use crate::keys::KeySet;

/// Keys of this age are fetched again, beside the requests that use them.
const REFRESH_AFTER: Duration = Duration::from_secs(10 * 60);

/// How long keys are used while the provider does not answer.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// After a successful fetch, an unknown key is a reason for the next one no earlier than this.
const PAUSE: Duration = Duration::from_secs(60);

/// The same after one that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Requests that wait for a fetch at most; others are told to try again.
const MAX_WAITING: usize = 32;

/// A provider.
#[derive(Debug)]
pub(crate) struct Provider {
    issuer: Issuer,
    client: Client,
    known: RwLock<Known>,
    fetching: Mutex<()>,
    waiting: Semaphore,
}

#[derive(Debug, Default)]
struct Known {
    keys: Option<Fetched>,
    /// When the last fetch began, and whether it failed.
    last: Option<(Timestamp, bool)>,
}

#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<KeySet>,
    at: Timestamp,
}

impl Known {
    /// The keys, unless they are too old.
    fn keys_at(&self, now: Timestamp) -> Option<&Fetched> {
        self.keys.as_ref().filter(|fetched| now < fetched.at.plus(MAX_AGE))
    }

    /// Whether a fetch may begin: the last one is some time away, in whichever direction the clock was set.
    fn may_fetch(&self, now: Timestamp) -> bool {
        let Some((last, has_failed)) = self.last else { return true };
        let pause = if has_failed { PAUSE_AFTER_FAILURE } else { PAUSE };
        now >= last.plus(pause) || last >= now.plus(pause)
    }

    fn has_failed(&self) -> bool {
        self.last.is_none_or(|(_, has_failed)| has_failed)
    }
}

impl Provider {
    pub(crate) fn new(issuer: Issuer, client: Client) -> Self {
        let (known, fetching) = (RwLock::default(), Mutex::default());
        Self { issuer, client, known, fetching, waiting: Semaphore::new(MAX_WAITING) }
    }

    pub(crate) const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The keys that are good now, among which `is_wanted` finds what it looks for; else those that a fetch brings, if
    /// one is due. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the keys are not known, or the provider does not say whether it has others.
    pub(crate) async fn keys(
        self: &Arc<Self>,
        now: Timestamp,
        is_wanted: impl Fn(&KeySet) -> bool,
    ) -> Result<Arc<KeySet>, ProviderUnavailable> {
        if let Some(fetched) = self.current(now)
            && is_wanted(&fetched.keys)
        {
            if now >= fetched.at.plus(REFRESH_AFTER) && self.may_fetch(now) {
                // Whoever waits for a fetch waits for this one.
                drop(tokio::spawn(Arc::clone(self).fetch_once(now)));
            }
            return Ok(fetched.keys);
        }
        if self.may_fetch(now) || self.is_fetching() {
            let _waiting = self.waiting.try_acquire().map_err(|_| ProviderUnavailable)?;
            // In a task of its own: a client that goes away does not end it for the others.
            let fetch = tokio::spawn(Arc::clone(self).fetch_once(now));
            fetch.await.map_err(|_| ProviderUnavailable)?;
        }
        let fetched = self.current(now).ok_or(ProviderUnavailable)?;
        // A key that nobody knows may be one of a provider that cannot be asked.
        match is_wanted(&fetched.keys) || !self.read(Known::has_failed) {
            true => Ok(fetched.keys),
            false => Err(ProviderUnavailable),
        }
    }

    /// Asks the provider now, whatever is known.
    pub(crate) async fn probe(&self) -> Result<usize, FetchError> {
        Ok(self.client.keys(&self.issuer).await?.len())
    }

    /// Fetches the keys unless another fetch did while this one waited.
    async fn fetch_once(self: Arc<Self>, now: Timestamp) {
        let _one = self.fetching.lock().await;
        if !self.begin(now) {
            return;
        }
        match self.client.keys(&self.issuer).await {
            Ok(keys) => {
                tracing::debug!(issuer = %self.issuer, keys = keys.len(), "the keys of an identity provider were fetched");
                self.write(|known| {
                    known.keys = Some(Fetched { keys: Arc::new(keys), at: now });
                    known.last = Some((now, false));
                });
            }
            Err(error) => {
                tracing::warn!(
                    issuer = %self.issuer,
                    error.cause = %error,
                    "the keys of an identity provider could not be fetched"
                );
            }
        }
    }

    /// Whether a fetch may begin. It counts as failed until it ends.
    fn begin(&self, now: Timestamp) -> bool {
        self.write(|known| {
            let may_fetch = known.may_fetch(now);
            if may_fetch {
                known.last = Some((now, true));
            }
            may_fetch
        })
    }

    fn current(&self, now: Timestamp) -> Option<Fetched> {
        self.read(|known| known.keys_at(now).cloned())
    }

    fn may_fetch(&self, now: Timestamp) -> bool {
        self.read(|known| known.may_fetch(now))
    }

    fn is_fetching(&self) -> bool {
        self.fetching.try_lock().is_err()
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner))
    }
}
