//! SQLite: one thread that writes, readers beside it, checkpoints on a thread of their own.

mod checkpoint;
mod open;
mod readers;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, params_from_iter};

use crate::context::Context;
use crate::db::{Row, Sql, Value};
use crate::error::{Cause, ConnectError, StoreError, refused, taken_columns};
use crate::schema::entity_of_statement;
use crate::tx::{ReadOnly, Tx};

pub(crate) use open::APPLICATION_ID;
use open::{Location, connect};
use readers::Readers;
use writer::Writer;

/// One SQLite file, or one database in memory.
pub(crate) struct SqliteDatabase {
    context: Arc<Context>,
    path: Option<PathBuf>,
    writer: Writer,
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
        let executor = SqliteExecutor::new(&mut reader, &self.context);
        work(&mut Tx::new(executor.into(), &self.context)).await
    }

    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut crate::WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.run(work).await
    }

    /// Runs `work` on the writing connection, outside any transaction; none when the file is closed.
    pub(crate) async fn run_alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Option<T> {
        self.writer.run_alone(work).await
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

/// Runs statements on one connection.
pub(crate) struct SqliteExecutor<'c> {
    connection: &'c mut Connection,
    context: &'c Context,
}

impl<'c> SqliteExecutor<'c> {
    pub(crate) const fn new(connection: &'c mut Connection, context: &'c Context) -> Self {
        Self { connection, context }
    }

    pub(crate) fn execute(&mut self, sql: &Sql, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.context.count_statement();
        let changed = self
            .connection
            .prepare_cached(sql.sqlite())
            .and_then(|mut statement| statement.execute(params_from_iter(values)))
            .map_err(|error| store_error(error, sql.name()))?;
        Ok(changed as u64)
    }

    pub(crate) fn execute_each(&mut self, sql: &Sql, rows: &[Vec<Value<'_>>]) -> Result<(), StoreError> {
        for values in rows {
            self.execute(sql, values)?;
        }
        Ok(())
    }

    pub(crate) fn query_changed<T>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut first = None;
        self.query_each(sql, values, |row| {
            first = Some(read(row)?);
            Ok(())
        })?;
        Ok(first)
    }

    pub(crate) fn query_each(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.context.count_statement();
        let failed = |error| store_error(error, sql.name());
        let mut statement = self.connection.prepare_cached(sql.sqlite()).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            read(&Row::sqlite(sql.name(), row))?;
        }
        Ok(())
    }
}

/// The one place where SQLite's errors get their meaning.
fn store_error(error: rusqlite::Error, statement: &str) -> StoreError {
    use rusqlite::ErrorCode;
    use rusqlite::ffi;

    let rusqlite::Error::SqliteFailure(failure, message) = &error else {
        return StoreError::Backend(Cause::new(format!("{statement}: {error}")));
    };
    let message = message.clone().unwrap_or_default();
    match failure.extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            let columns = message.strip_prefix("UNIQUE constraint failed: ").unwrap_or_default();
            if let Some(error) = taken_columns(columns) {
                return error;
            }
        }
        ffi::SQLITE_CONSTRAINT_CHECK => {
            let check = message.strip_prefix("CHECK constraint failed: ").unwrap_or_default();
            if let Some(error) = refused(check) {
                return error;
            }
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
            // SQLite does not say which foreign key failed; the statement's name begins with its table's word.
            return StoreError::MissingParent { entity: entity_of_statement(statement) };
        }
        _ => {}
    }
    let cause = Cause::new(format!("{statement}: {error}"));
    if message.starts_with("no such table") {
        return StoreError::Corrupt(format!("{cause}; are the tables migrated?"));
    }
    match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Timeout(cause),
        ErrorCode::ReadOnly => StoreError::ReadOnly(cause),
        ErrorCode::DiskFull => StoreError::StorageFull(cause),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(cause.to_string()),
        ErrorCode::CannotOpen => StoreError::Unavailable(cause),
        _ => StoreError::Backend(cause),
    }
}
