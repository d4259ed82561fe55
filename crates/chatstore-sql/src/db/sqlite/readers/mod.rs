//! Connections that read, each used by one caller at a time.
//!
//! A read runs on the caller's own thread, because a hop to another thread costs more than most of them. One that
//! takes longer than [`IN_PLACE`] or reads more than [`BYTES_IN_PLACE`] is interrupted there and runs again on a thread for long reads; the measurements
//! are in `docs/adr/0002-reads-in-place.md`.

mod connection;
mod threads;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::executor::SqliteExecutor;
use super::guard::FileGuard;
use super::location::Location;
use crate::context::Context;
use crate::error::{Cause, ConnectError, StoreError};
use crate::measures::{ConnectionMeasures, Waits};
use crate::tx::{ReadOnly, Tx};

use connection::ReadingConnection;
use threads::ReaderThreads;

/// Readers at a time. A read holds one only while it runs, so few serve many callers.
const READERS: usize = 4;

/// How long a read waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a read may keep the caller's thread.
const IN_PLACE: Duration = Duration::from_millis(2);

/// How much it may read there: copying takes time too, and more of it on a busy machine.
const BYTES_IN_PLACE: usize = 256 * 1024;

pub(super) struct Readers {
    permits: Semaphore,
    idle: Mutex<Vec<ReadingConnection>>,
    threads: ReaderThreads,
    waits: Waits,
}

impl Readers {
    pub(super) fn open(location: &Location) -> Result<Self, ConnectError> {
        let mut idle = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            idle.push(ReadingConnection::open(location)?);
        }
        let threads = ReaderThreads::start(location)?;
        Ok(Self {
            permits: Semaphore::new(READERS),
            idle: Mutex::new(idle),
            threads,
            waits: Waits::default(),
        })
    }

    /// Runs `work` in place, and again on another thread when it takes long.
    pub(super) async fn read<T, E, F>(
        &self,
        context: &Arc<Context>,
        guard: &Arc<FileGuard>,
        mut work: F,
    ) -> Result<T, E>
    where
        F: AsyncFnMut(&mut Tx<'_, ReadOnly>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        // A read holds up its thread and never waits, so a task that reads without end would let
        // nothing else have its turn.
        tokio::task::yield_now().await;
        let mut reader = self.acquire().await?;
        let reading = reader.reading();
        reading.budget.begin(IN_PLACE, BYTES_IN_PLACE);
        let executor =
            SqliteExecutor::new(&mut reading.connection, context, Some(guard)).within(&reading.budget);
        let result = work(&mut Tx::new(executor.into(), context)).await;
        if !reading.budget.is_spent() {
            return result;
        }
        drop(result);
        drop(reader);
        context.measures.groups.long_reads.fetch_add(1, Ordering::Relaxed);
        self.threads.run(context, guard, work).await
    }

    async fn acquire(&self) -> Result<Reader<'_>, StoreError> {
        let permit = match self.permits.try_acquire() {
            Ok(permit) => {
                self.waits.observe(Duration::ZERO);
                permit
            }
            Err(_) => {
                let since = Instant::now();
                let acquired = tokio::time::timeout(ACQUIRE_TIMEOUT, self.permits.acquire()).await;
                self.waits.observe(since.elapsed());
                acquired
                    .map_err(|_| {
                        self.waits.count_timeout();
                        StoreError::Unavailable(Cause::new("no reading connection became free in 5 s"))
                    })?
                    .map_err(|_| StoreError::closed())?
            }
        };
        let reading = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reading = reading.ok_or_else(StoreError::closed)?;
        Ok(Reader { readers: self, reading: Some(reading), _permit: permit })
    }

    /// How many connections there are, and how callers waited for one.
    pub(super) fn measures(&self) -> ConnectionMeasures {
        let busy = READERS.saturating_sub(self.permits.available_permits());
        self.waits.read((READERS, READERS, busy))
    }

    /// Closes the idle connections, interrupts long reads and refuses further ones.
    pub(super) async fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.threads.close().await;
    }
}

/// A connection that goes back to the others when it is dropped.
struct Reader<'r> {
    readers: &'r Readers,
    reading: Option<ReadingConnection>,
    _permit: SemaphorePermit<'r>,
}

impl Reader<'_> {
    fn reading(&mut self) -> &mut ReadingConnection {
        #[allow(clippy::expect_used, reason = "the connection is only taken by drop")]
        self.reading.as_mut().expect("a reader in use has its connection")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if self.readers.permits.is_closed() {
            return;
        }
        if let Some(reading) = self.reading.take() {
            self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reading);
        }
    }
}
