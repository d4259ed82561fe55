//! A SQLite file, read on a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::mpsc as jobs;
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use super::selection::quoted;
use super::{ExternalColumn, ExternalError, ExternalRow, ExternalValue, PIECE_BYTES, PIECE_ROWS, size};
use crate::error::Cause;

/// How long it waits for the application that writes the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Page cache in KiB: rows that belong together lie far apart.
const CACHE_KIB: i64 = 32_768;

/// Pieces read ahead.
const AHEAD: usize = 2;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// Hands work to the thread that has the connection; the thread ends with it.
#[derive(Debug)]
pub(super) struct SqliteReader {
    jobs: jobs::Sender<Job>,
}

/// Rows that the thread reads ahead.
#[derive(Debug)]
pub(super) struct SqliteRows(mpsc::Receiver<Result<Vec<ExternalRow>, String>>);

impl SqliteReader {
    /// Opens a file for reading; also says which file that is.
    pub(super) async fn open(path: &str) -> Result<(Self, String), ExternalError> {
        let path = existing(path)?;
        let place = path.display().to_string();
        let (jobs, work) = jobs::channel::<Job>();
        let (opened, answer) = oneshot::channel();
        let started =
            thread::Builder::new().name("external-sqlite".to_owned()).spawn(move || match connect(&path) {
                Ok(connection) => {
                    let _ = opened.send(Ok(()));
                    for job in work {
                        job(&connection);
                    }
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            });
        let unreadable = |reason: String| ExternalError::Unreadable { place: place.clone(), reason };
        started.map_err(|error| unreadable(error.to_string()))?;
        match answer.await {
            Ok(Ok(())) => Ok((Self { jobs }, place)),
            Ok(Err(error)) => Err(connect_error(&place, error)),
            Err(_) => Err(unreadable("its reading thread ended".to_owned())),
        }
    }

    pub(super) async fn table_names(&self) -> Result<Vec<String>, String> {
        self.ask(|connection| {
            let mut statement = connection.prepare(
                "select name from sqlite_schema where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\' \
                 order by name",
            )?;
            statement.query_map((), |row| row.get(0))?.collect()
        })
        .await
    }

    /// The columns of a table; none when there is no such table.
    pub(super) async fn columns(&self, table: &str) -> Result<Vec<ExternalColumn>, String> {
        let pragma = format!("pragma table_info({})", quoted(table));
        self.ask(move |connection| {
            let mut statement = connection.prepare(&pragma)?;
            let columns = statement.query_map((), |row| {
                let declared: String = row.get(2)?;
                Ok(ExternalColumn { name: row.get(1)?, declared: declared.to_lowercase() })
            })?;
            columns.collect()
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let _ = done.send(work(connection).map_err(|error| error.to_string()));
        });
        self.jobs.send(job).map_err(|_| "its reading thread ended".to_owned())?;
        answer.await.unwrap_or_else(|_| Err("its reading thread ended".to_owned()))
    }

    /// The number that a statement gives.
    pub(super) async fn number(&self, text: String) -> Result<i64, String> {
        self.ask(move |connection| connection.query_row(&text, (), |row| row.get(0))).await
    }

    /// Runs the first statements, then reads the rows of the second.
    pub(super) async fn rows(&self, (first, text): (String, String)) -> Result<SqliteRows, String> {
        let (pieces, rows) = mpsc::channel(AHEAD);
        let job: Job = Box::new(move |connection| {
            let done = connection.execute_batch(&first).and_then(|()| read(connection, &text, &pieces));
            if let Err(error) = done {
                // No caller may wait for the answer any more.
                let _ = pieces.blocking_send(Err(error.to_string()));
            }
        });
        self.jobs.send(job).map_err(|_| "its reading thread ended".to_owned())?;
        Ok(SqliteRows(rows))
    }
}

impl SqliteRows {
    pub(super) async fn next(&mut self) -> Result<Option<Vec<ExternalRow>>, String> {
        self.0.recv().await.transpose()
    }
}

/// Sends all rows in chunks; stops when the receiver is gone.
fn read(
    connection: &Connection,
    text: &str,
    pieces: &mpsc::Sender<Result<Vec<ExternalRow>, String>>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(text)?;
    let width = statement.column_count();
    let mut rows = statement.query(())?;
    let mut piece = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(width);
        for index in 0..width {
            let value = value(row.get_ref(index)?);
            bytes += size(&value);
            values.push(value);
        }
        piece.push(values);
        if piece.len() == PIECE_ROWS || bytes > PIECE_BYTES {
            bytes = 0;
            if pieces.blocking_send(Ok(std::mem::take(&mut piece))).is_err() {
                return Ok(());
            }
        }
    }
    if !piece.is_empty() {
        let _ = pieces.blocking_send(Ok(piece));
    }
    Ok(())
}

fn value(value: ValueRef<'_>) -> ExternalValue {
    match value {
        ValueRef::Null => ExternalValue::Null,
        ValueRef::Integer(number) => ExternalValue::Int(number),
        ValueRef::Real(number) => ExternalValue::Real(number),
        ValueRef::Blob(bytes) => ExternalValue::Bytes(bytes.to_vec()),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => ExternalValue::Text(text.to_owned()),
            Err(_) => ExternalValue::Bytes(bytes.to_vec()),
        },
    }
}

/// The file that a path means: to SQLAlchemy the third slash belongs to the URL, to us to the path.
fn existing(path: &str) -> Result<PathBuf, ExternalError> {
    let without_parameters = path.split('?').next().unwrap_or_default();
    let of_sqlalchemy = without_parameters.strip_prefix('/').unwrap_or(without_parameters);
    for candidate in [of_sqlalchemy, without_parameters] {
        if !candidate.is_empty() && Path::new(candidate).exists() {
            return Ok(PathBuf::from(candidate));
        }
    }
    Err(ExternalError::Absent { place: of_sqlalchemy.to_owned() })
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.execute_batch("begin")?;
    // The first statement takes the snapshot, and finds out whether it is a database at all.
    connection.query_row("select count(*) from sqlite_schema", (), |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

fn connect_error(place: &str, error: rusqlite::Error) -> ExternalError {
    let place = place.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            ExternalError::Unreadable { place, reason: "it is not a SQLite database".to_owned() }
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            ExternalError::Denied { place, cause: Cause::new(error) }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            ExternalError::Unreachable { place, cause: Cause::new(error) }
        }
        _ => ExternalError::Unreadable { place, reason: error.to_string() },
    }
}
