//! SQLite: one thread that writes, readers beside it, checkpoints on a thread of their own.

mod checkpoint;
mod executor;
mod open;
mod readers;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use crate::context::Context;
use crate::error::{Cause, ConnectError, StoreError};
use crate::tx::{ReadOnly, Tx};

pub(crate) use executor::{SqliteExecutor, store_error};
pub(crate) use open::APPLICATION_ID;
use open::{Location, connect};
use readers::Readers;
use writer::Writer;

/// One more connection to a file that is open.
pub(crate) fn open_beside(path: &Path) -> Result<Connection, ConnectError> {
    connect(&Location::new(Some(path))?)
}

/// One SQLite file, or one database in memory.
pub(crate) struct SqliteDatabase {
    context: Arc<Context>,
    path: Option<PathBuf>,
    pub(crate) writer: Writer,
    /// None for a database in memory, which only its one connection can see.
    readers: Option<Readers>,
}

impl SqliteDatabase {
    /// Opens `path`, or a fresh database in memory; creates the file when it does not exist.
    pub(crate) fn open(path: Option<PathBuf>, context: Arc<Context>) -> Result<Self, ConnectError> {
        let location = Location::new(path.as_deref())?;
        let connection = connect(&location)?;
        let readers = path.is_some().then(|| Readers::open(&location)).transpose()?;
        let checkpoints = path.is_some().then(|| connect(&location)).transpose()?;
        let writer = Writer::start(connection, checkpoints, Arc::clone(&context))?;
        Ok(Self { context, path, writer, readers })
    }

    pub(crate) async fn read<T, E, F>(&self, mut work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut Tx<'_, ReadOnly>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some(readers) = &self.readers else {
            return self.writer.run::<_, _, ReadOnly, _>(work).await;
        };
        // A read holds up its thread and never waits, so a task that reads without end would let
        // nothing else have its turn.
        tokio::task::yield_now().await;
        let mut reader = readers.acquire().await?;
        let executor = SqliteExecutor::new(reader.connection(), &self.context);
        work(&mut Tx::new(executor.into(), &self.context)).await
    }

    pub(crate) fn path(&self) -> Option<&std::path::Path> {
        self.path.as_deref()
    }

    /// Bytes of the file and its write-ahead log.
    pub(crate) fn size_bytes(&self) -> Result<u64, StoreError> {
        let Some(path) = &self.path else { return Ok(0) };
        let mut wal = path.clone().into_os_string();
        wal.push("-wal");
        let size = |path: &std::path::Path| match std::fs::metadata(path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(StoreError::Backend(Cause::new(error))),
        };
        Ok(size(path)? + size(wal.as_ref())?)
    }

    /// Finishes what is queued and closes the file; later writes fail.
    pub(crate) async fn close(&self) {
        if let Some(readers) = &self.readers {
            readers.close();
        }
        self.writer.close().await;
    }
}
