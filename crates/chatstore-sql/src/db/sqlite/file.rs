//! A database file for as long as it is open: what is common to all of its connections.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::descriptors::Descriptor;
use super::executor::store_error;
use super::guard::FileGuard;
use super::location::{FileLocation, Location};
use super::log::{Mode, checkpoint};
use super::mark;
use super::open::connect;
use super::trouble;
use crate::error::{Cause, ConnectError, StoreError};
use crate::file_lock::FileLock;

pub(crate) struct OpenFile {
    location: Location,
    pub(super) guard: Arc<FileGuard>,
    /// Whether it looked like a copy of a file in use, without the log, before a connection created one.
    pub(super) may_lack_rows: bool,
}

impl OpenFile {
    /// Opens the file, takes its lock if that is wanted, and opens the first connection.
    pub(super) fn open(file: &FileLocation, lock: FileLock) -> Result<(Self, Connection), ConnectError> {
        let descriptor =
            Descriptor::open(&file.paths.file, true).map_err(|error| trouble::file_error(file, error))?;
        let lock = match lock {
            FileLock::Share => None,
            FileLock::Own => {
                let owned = descriptor.own();
                Some(owned.map_err(|error| trouble::lock_error(file, descriptor.id(), error))?)
            }
        };
        let guard = FileGuard::new(file.given.clone(), file.paths.clone(), descriptor, lock);
        if guard.is_beside_log_of_another().map_err(|error| trouble::file_error(file, error))? {
            let (place, log) = (file.place.clone(), file.paths.log.display());
            let reason = format!(
                "{log} belongs to another file that was here, and would damage this one; put that file back, or move \
                 the log away, with which the writes that only it holds are given up"
            );
            return Err(ConnectError::Unusable { place, reason });
        }
        let location = Location::File(file.clone());
        let has_log = file.paths.log.symlink_metadata().is_ok();
        let connection = connect(&location)?;
        read_anything(&connection).map_err(|error| trouble::connect_error(&location, error))?;
        guard.attach().map_err(|error| trouble::file_error(file, error))?;
        guard.verify().map_err(|error| {
            let cause = Cause::new(error.to_string());
            ConnectError::FileFailed { place: file.place.clone(), cause }
        })?;
        let marked = look_at_mark(&guard, &connection, has_log);
        let may_lack_rows = marked.map_err(|error| trouble::file_error(file, error))?;
        Ok((Self { location, guard: Arc::new(guard), may_lack_rows }, connection))
    }

    /// Another connection, if the file is still in its place.
    pub(crate) fn open_anew(&self) -> Result<Connection, StoreError> {
        self.guard.verify()?;
        let connection = connect(&self.location).map_err(|error| match error {
            ConnectError::StorageFull { cause, .. } => StoreError::StorageFull(cause),
            ConnectError::NotWritable { reason, .. } => StoreError::ReadOnly(Cause::new(reason)),
            other => StoreError::Unavailable(Cause::new(other)),
        })?;
        read_anything(&connection).map_err(|error| store_error(error, "opening"))?;
        // What the connection opened was there before and after.
        self.guard.verify()?;
        Ok(connection)
    }

    /// Closes the writer's connection. If no other is open, and the names still lead to our files, the log is moved into
    /// the file and deleted.
    pub(super) fn close(&self, connection: Connection) {
        if self.guard.verify().is_ok() {
            if self.guard.is_last_owner()
                && let Err(error) = mark::clear(&connection)
            {
                tracing::warn!(%error, "the file stays marked as in use");
            }
            if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false) {
                tracing::warn!(%error, "the write-ahead log stays beside the file");
            }
        }
        drop(connection);
        self.guard.unlock();
    }
}

/// Whether the file looks like a copy of one in use, without the log. The owner's mark is put into it.
fn look_at_mark(guard: &FileGuard, connection: &Connection, has_log: bool) -> std::io::Result<bool> {
    let file = guard.file().metadata()?;
    let may_lack_rows = !has_log && mark::is_of_another(connection, &file).map_err(std::io::Error::other)?;
    if !guard.is_owner() {
        return Ok(may_lack_rows);
    }
    if may_lack_rows {
        tracing::warn!(
            database.path = %guard.paths().file.display(),
            "the file is a copy of one that was in use, without the -wal beside it: the newest rows may be missing; \
             use `chatstore backup` instead of copying files"
        );
    }
    let marked = mark::set(connection, &file).and_then(|()| checkpoint(connection, Mode::Passive));
    if let Err(error) = marked {
        tracing::warn!(%error, "the file is not marked as in use");
    }
    Ok(may_lack_rows)
}

/// After its first read a connection has log and index open.
fn read_anything(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("select count(*) from sqlite_schema", (), |_| Ok(()))
}
