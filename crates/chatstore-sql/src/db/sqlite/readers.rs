//! Connections that read, each used by one caller at a time, on the caller's own thread.
//!
//! Reads run in place because a hop to another thread costs more than most of them; the
//! measurement is in `docs/adr/0002-reads-in-place.md`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::location::Location;
use super::open::connect;
use crate::error::{Cause, ConnectError, StoreError};

/// Readers at a time. A read holds one only while it runs, so few serve many callers.
const READERS: usize = 4;

/// How long a read waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Readers {
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn open(location: &Location) -> Result<Self, ConnectError> {
        let mut idle = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let connection = connect(location)?;
            connection.pragma_update(None, "query_only", true).map_err(|error| {
                ConnectError::Unreachable {
                    place: "a reading connection".to_owned(),
                    cause: Cause::new(error),
                }
            })?;
            idle.push(connection);
        }
        Ok(Self { permits: Semaphore::new(READERS), idle: Mutex::new(idle) })
    }

    pub(super) async fn acquire(&self) -> Result<Reader<'_>, StoreError> {
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout(ACQUIRE_TIMEOUT, self.permits.acquire())
                .await
                .map_err(|_| StoreError::Unavailable(Cause::new("no reading connection became free in 5 s")))?
                .map_err(|_| StoreError::closed())?,
        };
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = connection.ok_or_else(StoreError::closed)?;
        Ok(Reader { readers: self, connection: Some(connection), _permit: permit })
    }

    /// Closes the idle connections and refuses further reads.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A connection that goes back to the others when it is dropped.
pub(super) struct Reader<'r> {
    readers: &'r Readers,
    connection: Option<Connection>,
    _permit: SemaphorePermit<'r>,
}

impl Reader<'_> {
    pub(super) fn connection(&mut self) -> &mut Connection {
        #[allow(clippy::expect_used, reason = "the connection is only taken by drop")]
        self.connection.as_mut().expect("a reader in use has its connection")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if self.readers.permits.is_closed() {
            return;
        }
        if let Some(connection) = self.connection.take() {
            self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}
