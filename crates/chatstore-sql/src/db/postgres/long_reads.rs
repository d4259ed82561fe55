//! Reads that take long, or read much: few run at a time, so that connections and processors stay free for others.

use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::StoreError;

/// At most one of this many connections is for reads that take long, and another for those that read much.
const SHARE: usize = 4;

/// Reads of a kind that wait; further ones are refused.
const QUEUE: usize = 64;

/// How many reads of a kind run and wait.
pub(super) struct LongReads {
    running: Semaphore,
    present: Semaphore,
}

/// The right to read at length, until it is dropped.
pub(super) struct LongRead<'a> {
    _running: SemaphorePermit<'a>,
    _present: SemaphorePermit<'a>,
}

impl LongReads {
    /// Reads whose time grows with what is stored, with a pool of this many connections: two at least, so that
    /// short ones among them are not held up by one.
    pub(super) fn of_much_time(connections: usize) -> Self {
        Self::new(share(connections).max(2))
    }

    /// Reads of pages that hold much. Each is over soon, but costs the time of processors, here and often there.
    pub(super) fn of_many_bytes(connections: usize) -> Self {
        Self::new(share(connections))
    }

    fn new(running: usize) -> Self {
        Self { running: Semaphore::new(running), present: Semaphore::new(running + QUEUE) }
    }

    /// Waits for the right to read at length.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when too many wait already.
    pub(super) async fn acquire(&self) -> Result<LongRead<'_>, StoreError> {
        const TOO_MANY: StoreError = StoreError::Overloaded("too many long reads wait already");
        let present = self.present.try_acquire().map_err(|_| TOO_MANY)?;
        let running = self.running.acquire().await.map_err(|_| TOO_MANY)?;
        Ok(LongRead { _running: running, _present: present })
    }
}

/// Half as many as there are processors, and a share of the connections at most.
fn share(connections: usize) -> usize {
    let processors = available_parallelism().map_or(1, NonZero::get);
    (processors / 2).min(connections / SHARE).max(1)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn of_many_long_reads_few_run_and_some_wait() {
        let reads = LongReads::new(4);
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
