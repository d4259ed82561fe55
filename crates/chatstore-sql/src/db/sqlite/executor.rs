//! Statements on one connection, and what SQLite's errors mean.

use std::ops::ControlFlow;

use rusqlite::{Connection, params_from_iter};

use crate::context::Context;
use crate::db::meaning::{missing_of_statement, refused, taken_columns};
use crate::db::{Row, Sql, Value};
use crate::error::{Cause, StoreError};

/// Runs statements on one connection.
pub(crate) struct SqliteExecutor<'c> {
    connection: &'c mut Connection,
    context: &'c Context,
}

impl<'c> SqliteExecutor<'c> {
    pub(crate) const fn new(connection: &'c mut Connection, context: &'c Context) -> Self {
        Self { connection, context }
    }

    /// Runs a statement and hands its rows to `read`; the number of rows changed.
    pub(crate) fn run(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        self.run_until(sql, values, |row| read(row).map(ControlFlow::Continue))
    }

    /// Runs a statement and hands its rows to `read` until that has enough; the number of rows changed.
    pub(crate) fn run_until(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<u64, StoreError> {
        self.context.count_statement();
        let failed = |error| store_error(error, sql.name());
        let mut statement = self.connection.prepare_cached(sql.sqlite()).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if read(&Row::sqlite(sql.name(), row))?.is_break() {
                break;
            }
        }
        Ok(self.connection.changes())
    }

    pub(crate) fn execute_each(&mut self, sql: &Sql, rows: &[Vec<Value<'_>>]) -> Result<(), StoreError> {
        rows.iter().try_for_each(|values| self.run(sql, values, |_| Ok(())).map(drop))
    }
}

/// The one place where SQLite's errors get their meaning.
pub(crate) fn store_error(error: rusqlite::Error, statement: &str) -> StoreError {
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
            return missing_of_statement(statement);
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
