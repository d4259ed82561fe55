//! Reads that may take long on PostgreSQL: they get a share of the connections, so that the others stay free.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::StoreError;

/// One of this many connections is for long reads.
const SHARE: usize = 4;

/// Long reads that wait; further ones are refused.
const QUEUE: usize = 16;

/// How many long reads run and wait.
pub(crate) struct LongReads {
    running: Semaphore,
    present: Semaphore,
}

/// The right to read at length, until it is dropped.
pub(crate) struct LongRead<'a> {
    _running: SemaphorePermit<'a>,
    _present: SemaphorePermit<'a>,
}

impl LongReads {
    /// For a pool of this many connections.
    pub(crate) fn new(connections: usize) -> Self {
        let running = (connections / SHARE).max(1);
        Self { running: Semaphore::new(running), present: Semaphore::new(running + QUEUE) }
    }

    /// Waits for the right to read at length.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when too many wait already.
    pub(crate) async fn acquire(&self) -> Result<LongRead<'_>, StoreError> {
        const TOO_MANY: StoreError = StoreError::Overloaded("too many long reads wait already");
        let present = self.present.try_acquire().map_err(|_| TOO_MANY)?;
        let running = self.running.acquire().await.map_err(|_| TOO_MANY)?;
        Ok(LongRead { _running: running, _present: present })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn long_reads_have_a_quarter_of_the_connections_and_few_wait() {
        let reads = LongReads::new(16);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(reads.acquire().await.unwrap());
        }
        let mut waiting: Vec<_> = (0..QUEUE).map(|_| Box::pin(reads.acquire())).collect();
        for waiting in &mut waiting {
            assert!(waiting.now_or_never().is_none());
        }
        assert!(matches!(reads.acquire().await, Err(StoreError::Overloaded(_))));
        held.pop();
        assert!(waiting.remove(0).await.is_ok());
    }
}
