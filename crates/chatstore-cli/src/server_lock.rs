//! One server owns a SQLite file; a second one names the owner and exits.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use chatstore::Store;

use crate::error::{CliError, code};

/// Held while the server runs; the system releases it however the process ends.
#[derive(Debug)]
pub(crate) struct ServerLock {
    _file: Option<File>,
}

impl ServerLock {
    /// Takes the lock beside the store's file. The database file itself must not be opened for it:
    /// closing it again would drop SQLite's own locks (<https://www.sqlite.org/howtocorrupt.html>).
    pub(crate) fn take(store: &Store) -> Result<Self, CliError> {
        let Some(database) = store.file() else { return Ok(Self { _file: None }) };
        let cannot = |error: std::io::Error| {
            CliError::new(code::CANNOT_CREATE, format!("cannot lock {}: {error}", database.display()))
        };
        // A file has one lock, whatever path leads to it.
        let mut path = database.canonicalize().map_err(cannot)?.into_os_string();
        path.push("-server.lock");
        let path = PathBuf::from(path);
        let failed = |error: std::io::Error| {
            CliError::new(code::CANNOT_CREATE, format!("cannot create the lock {}: {error}", path.display()))
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&path, &mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        write!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: Some(file) })
    }
}

fn held(path: &Path, file: &mut File) -> CliError {
    let mut holder = String::new();
    let holder = match file.read_to_string(&mut holder) {
        Ok(_) if !holder.is_empty() => format!("process {holder}"),
        _ => "another process".to_owned(),
    };
    CliError::new(code::TRY_AGAIN, format!("{holder} already serves this database (lock {})", path.display()))
        .hint("stop it first, or use PostgreSQL to run several servers")
}
