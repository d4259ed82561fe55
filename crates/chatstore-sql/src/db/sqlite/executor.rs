//! Statements on one connection, and what SQLite's errors mean.

use std::ops::ControlFlow;

use rusqlite::{Connection, params_from_iter};

use super::budget::Budget;
use super::fault::Fault;
use super::guard::FileGuard;
use crate::context::Context;
use crate::db::meaning::{missing_of_statement, refused, taken_columns};
use crate::db::{Row, Sql, Value};
use crate::error::{Cause, StoreError};
use crate::measures::Measures;

/// Bytes of rows between two looks at the clock: copying them takes time that SQLite does not see.
const WATCHED_BYTES: usize = 64 * 1024;

/// Runs statements on one connection.
pub(crate) struct SqliteExecutor<'c> {
    connection: &'c mut Connection,
    context: &'c Context,
    /// None in memory.
    guard: Option<&'c FileGuard>,
    /// None where a statement may take as long as it does.
    budget: Option<&'c Budget>,
}

impl<'c> SqliteExecutor<'c> {
    pub(super) const fn new(
        connection: &'c mut Connection,
        context: &'c Context,
        guard: Option<&'c FileGuard>,
    ) -> Self {
        Self { connection, context, guard, budget: None }
    }

    /// The executor with an end of its time.
    pub(super) const fn within(self, budget: &'c Budget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    pub(crate) const fn measures(&self) -> &'c Measures {
        &self.context.measures
    }

    /// Whether its time is over, so that what runs here has to run again elsewhere.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.budget.is_some_and(Budget::is_spent)
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
        let guard = self.guard;
        let failed = |error| {
            report_damage(guard, &error);
            store_error(error, sql.name())
        };
        let mut statement = self.connection.prepare_cached(sql.sqlite()).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
        let mut unwatched_bytes = 0;
        while let Some(row) = rows.next().map_err(failed)? {
            // What was read is not read again for the sake of its size: a single row ends its read.
            if unwatched_bytes > WATCHED_BYTES {
                if self.budget.is_some_and(|budget| budget.check_bytes(unwatched_bytes)) {
                    return Err(StoreError::Timeout(Cause::new(format!("{}: interrupted", sql.name()))));
                }
                unwatched_bytes = 0;
            }
            let row = Row::sqlite(sql.name(), row);
            if read(&row)?.is_break() {
                break;
            }
            unwatched_bytes += row.size_bytes();
        }
        Ok(self.connection.changes())
    }

    pub(crate) fn execute_each(&mut self, sql: &Sql, rows: &[Vec<Value<'_>>]) -> Result<(), StoreError> {
        rows.iter().try_for_each(|values| self.run(sql, values, |_| Ok(())).map(drop))
    }
}

/// Damage that SQLite meets is damage wherever else it may be.
fn report_damage(guard: Option<&FileGuard>, error: &rusqlite::Error) {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let (Some(guard), Some(DatabaseCorrupt | NotADatabase)) = (guard, error.sqlite_error_code()) else {
        return;
    };
    // A file that was exchanged looks damaged too, and is reported as what it is.
    if guard.verify().is_ok() {
        guard.report(Fault::Damaged);
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
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OperationInterrupted => {
            StoreError::Timeout(cause)
        }
        // The index of the log did not fit on the disk either.
        ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
            StoreError::StorageFull(cause)
        }
        ErrorCode::ReadOnly => StoreError::ReadOnly(cause),
        ErrorCode::DiskFull => StoreError::StorageFull(cause),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(cause.to_string()),
        ErrorCode::CannotOpen | ErrorCode::SystemIoFailure => StoreError::Unavailable(cause),
        _ => StoreError::Backend(cause),
    }
}
