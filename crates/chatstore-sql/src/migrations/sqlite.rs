//! Migrations on SQLite: on the writing thread, between other transactions.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chatstore_migrate::{
    Answer, Connection, DatabaseError, DatabaseErrorKind, Dialect, MigrationError, TextRow,
};
use chatstore_model::Clock;
use rusqlite::ErrorCode;
use rusqlite::types::ValueRef;

use super::Work;
use crate::db::sqlite::SqliteDatabase;
use crate::db::sqlite::mark::APPLICATION_ID;

/// The beginning of a script for another client, which sets up what our connections rely on.
pub(super) fn preamble() -> String {
    format!("pragma application_id = {APPLICATION_ID};\npragma foreign_keys = on;\n")
}

pub(super) async fn migrating<T, F>(
    database: &SqliteDatabase,
    clock: Arc<dyn Clock>,
    work: F,
) -> Result<T, MigrationError>
where
    F: for<'c> FnOnce(&'c mut dyn Connection) -> Work<'c, T> + Send + 'static,
    T: Send + 'static,
{
    let done = database.writer.run_alone(move |connection| on_connection(connection, clock, work));
    done.await.unwrap_or_else(|| {
        database.refuse_faulty().map_err(|fault| unavailable(&fault.to_string()))?;
        Err(unavailable("the store is closed, or a data step panicked"))
    })
}

/// Runs `work`, which must wait for nothing else, on a connection that nothing else uses.
pub(super) fn on_connection<T, F>(
    connection: &mut rusqlite::Connection,
    clock: Arc<dyn Clock>,
    work: F,
) -> Result<T, MigrationError>
where
    F: for<'c> FnOnce(&'c mut dyn Connection) -> Work<'c, T>,
{
    let mut connection = OnSqlite { connection, clock };
    let work = pin!(work(&mut connection));
    match work.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(unavailable("a data step waited for something other than the database")),
    }
}

fn unavailable(cause: &str) -> MigrationError {
    let cause = DatabaseError::new(DatabaseErrorKind::Unavailable, cause);
    MigrationError::Database { doing: "reaching the database".to_owned(), cause }
}

struct OnSqlite<'c> {
    connection: &'c mut rusqlite::Connection,
    clock: Arc<dyn Clock>,
}

impl Connection for OnSqlite<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microseconds()
    }

    fn execute<'a>(&'a mut self, sql: &'a str) -> Answer<'a, ()> {
        Box::pin(ready(self.connection.execute_batch(sql).map_err(database_error)))
    }

    fn query<'a>(&'a mut self, sql: &'a str) -> Answer<'a, Vec<TextRow>> {
        Box::pin(ready(rows(self.connection, sql).map_err(database_error)))
    }

    fn pause(&mut self, duration: Duration) -> Answer<'_, ()> {
        Box::pin(async move {
            std::thread::sleep(duration);
            Ok(())
        })
    }
}

fn rows(connection: &rusqlite::Connection, sql: &str) -> rusqlite::Result<Vec<TextRow>> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query(())?;
    let mut texts = Vec::new();
    while let Some(row) = rows.next()? {
        let mut text_row = Vec::with_capacity(columns);
        for column in 0..columns {
            text_row.push(match row.get_ref(column)? {
                ValueRef::Null => None,
                ValueRef::Integer(number) => Some(number.to_string()),
                ValueRef::Real(number) => Some(number.to_string()),
                ValueRef::Text(text) | ValueRef::Blob(text) => {
                    Some(String::from_utf8_lossy(text).into_owned())
                }
            });
        }
        texts.push(text_row);
    }
    Ok(texts)
}

fn database_error(error: rusqlite::Error) -> DatabaseError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DatabaseErrorKind::Busy,
        Some(
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied,
        ) => DatabaseErrorKind::Denied,
        Some(ErrorCode::DiskFull) => DatabaseErrorKind::StorageFull,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => DatabaseErrorKind::Corrupt,
        Some(ErrorCode::CannotOpen) => DatabaseErrorKind::Unavailable,
        _ => DatabaseErrorKind::Failed,
    };
    match error {
        // The driver would print the rest of the file.
        rusqlite::Error::SqlInputError { msg, sql, offset, .. } => {
            let rest = usize::try_from(offset).ok().and_then(|offset| sql.get(offset..)).unwrap_or(&sql);
            let line = rest.trim_start().lines().next().unwrap_or_default();
            DatabaseError::new(kind, format!("{msg}, at: {line}"))
        }
        error => DatabaseError::new(kind, error),
    }
}
