//! Opening a file so that every connection to it behaves alike.

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::location::Location;
use super::mark;
use super::trouble;
use crate::error::ConnectError;

/// How long a connection waits for another process before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long opening waits for other processes that open the same fresh file.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes to which a log that grew is cut when it begins anew.
const LOG_BYTES: i64 = 32 << 20;

/// Enough for every statement of the repositories.
const CACHED_STATEMENTS: usize = 256;

/// Page cache of one connection in KiB; a handful of connections stay below 100 MB together.
const CACHE_KIB: i64 = 8_192;

/// Opens one connection with all settings applied.
///
/// Switching a fresh file to WAL answers "locked" at once when another process does the same,
/// whatever the busy timeout (<https://www.sqlite.org/wal.html>, "sometimes queries return
/// SQLITE_BUSY"), so this step is tried again until the other is done.
pub(super) fn connect(location: &Location) -> Result<Connection, ConnectError> {
    let deadline = Instant::now() + OPEN_TIMEOUT;
    loop {
        match try_connect(location) {
            Ok(connection) => return Ok(connection),
            Err(Failure::Sqlite(error)) if is_busy(&error) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(Failure::Sqlite(error)) => return Err(trouble::connect_error(location, error)),
            Err(Failure::Final(error)) => return Err(error),
        }
    }
}

enum Failure {
    Sqlite(rusqlite::Error),
    Final(ConnectError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn try_connect(location: &Location) -> Result<Connection, Failure> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match location {
        Location::Memory => Connection::open_in_memory_with_flags(flags)?,
        Location::File(file) => Connection::open_with_flags(&file.paths.file, flags)?,
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if connection.is_readonly("main")? {
        return Err(Failure::Final(trouble::read_only(location)));
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // The statement cache clears bindings; without this SQLite then prepares again on every use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // The last connection to close moves the log into the file and deletes it, by their names. Only the writer does,
    // after it has looked where they lead.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    claim(&connection, location)?;
    if matches!(location, Location::File(_)) {
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if mode != "wal" {
            connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        }
    }
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // What is deleted is overwritten, so that nothing of an erased user is left in free pages.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

/// Makes an empty file ours and refuses another application's.
fn claim(connection: &Connection, location: &Location) -> Result<(), Failure> {
    let state = || -> rusqlite::Result<(i64, i64)> {
        // One statement, so that another process cannot create tables between the two answers.
        connection.query_row(
            "select application_id, (select count(*) from sqlite_schema) from pragma_application_id",
            (),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    };
    match state()? {
        (id, _) if mark::is_ours(id) => return Ok(()),
        (0, 0) => {}
        _ => {
            let reason = "it is another application's SQLite database; name a file of its own for chatstore";
            let (place, reason) = (location.place(), reason.to_owned());
            return Err(Failure::Final(ConnectError::Unusable { place, reason }));
        }
    }
    connection.execute_batch("begin immediate")?;
    mark::clear(connection)?;
    connection.execute_batch("commit")?;
    Ok(())
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
