//! What other crates use of Redis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chatstore::auth::Limiter;
use tokio::time::timeout;

use crate::limiter::RedisLimiter;
use crate::link::{KeptOpen, RedisCounts};
use crate::options::RedisOptions;

/// Redis, shared with other processes. Cheap to clone; the connection ends with the last clone and what was given out.
#[derive(Clone)]
pub struct Redis {
    link: Arc<KeptOpen>,
    limiter: Arc<RedisLimiter>,
}

impl Redis {
    /// Begins to connect, in a task of the present Tokio runtime, and goes on trying for as long as there are clones.
    #[must_use]
    pub fn start(options: RedisOptions) -> Self {
        let link = Arc::new(KeptOpen::start(options));
        let limiter = Arc::new(RedisLimiter::new(Arc::clone(&link)));
        Self { link, limiter }
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
}

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redis").field("options", self.link.options()).finish_non_exhaustive()
    }
}
