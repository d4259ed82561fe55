//! What other crates use of Redis.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chatstore::auth::Limiter;
use chatstore::messenger::Messenger;
use chatstore::shared_cache::SharedCache;
use tokio::time::timeout;

use crate::cache::RedisCache;
use crate::connect::connect;
use crate::limiter::RedisLimiter;
use crate::link::{KeptOpen, RedisCounts, ping};
use crate::messenger::RedisMessenger;
use crate::options::RedisOptions;

/// How long a probe waits for an answer.
const PROBE_TIME: Duration = Duration::from_secs(1);

/// Why Redis cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("Redis at {place} cannot be used: {cause}")]
pub struct RedisFailure {
    place: String,
    cause: String,
}

/// Redis, shared with other processes. Cheap to clone; the connection ends with the last clone and what was given out.
#[derive(Clone)]
pub struct Redis {
    link: Arc<KeptOpen>,
    limiter: Arc<RedisLimiter>,
    cache: Arc<RedisCache>,
}

impl Redis {
    /// Begins to connect, in a task of the present Tokio runtime, and goes on trying for as long as there are clones.
    #[must_use]
    pub fn start(options: RedisOptions) -> Self {
        let link = Arc::new(KeptOpen::start(options));
        let limiter = Arc::new(RedisLimiter::new(Arc::clone(&link)));
        let cache = Arc::new(RedisCache::new(Arc::clone(&link)));
        Self { link, limiter, cache }
    }

    /// Whether Redis can be connected to and answers, by a connection of its own, within a second.
    ///
    /// # Errors
    /// [`RedisFailure`], which says why not.
    pub async fn probe(options: &RedisOptions) -> Result<(), RedisFailure> {
        let failure = |cause: String| RedisFailure { place: options.place(), cause };
        let mut connection = connect(options, |_: redis::PushInfo| Ok::<(), Infallible>(()))
            .await
            .map_err(|error| failure(error.to_string()))?;
        match timeout(PROBE_TIME, ping(&mut connection)).await {
            Ok(answered) => answered.map_err(|error| failure(error.to_string())),
            Err(_) => Err(failure("no answer within 1 s".to_owned())),
        }
    }

    /// Waits until the first connection is open or could not be opened, but no longer than this. Whether it is open.
    pub async fn ready(&self, patience: Duration) -> bool {
        // Either way the answer is what is known then.
        let _ = timeout(patience, self.link.tried()).await;
        self.is_up()
    }

    /// Whether Redis is in use now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// Where Redis is, without user and password.
    #[must_use]
    pub fn place(&self) -> String {
        self.link.options().place()
    }

    /// What was asked of Redis since the start.
    #[must_use]
    pub fn counts(&self) -> RedisCounts {
        self.link.counts()
    }

    /// Counts what all processes with this Redis do.
    #[must_use]
    pub fn limiter(&self) -> Arc<dyn Limiter> {
        Arc::<RedisLimiter>::clone(&self.limiter)
    }

    /// Remembers for all processes with this Redis.
    #[must_use]
    pub fn cache(&self) -> Arc<dyn SharedCache> {
        Arc::<RedisCache>::clone(&self.cache)
    }

    /// Tells all processes with this Redis what changed.
    #[must_use]
    pub fn messenger(&self) -> Arc<dyn Messenger> {
        Arc::new(RedisMessenger(Arc::clone(&self.link)))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redis").field("options", self.link.options()).finish_non_exhaustive()
    }
}
