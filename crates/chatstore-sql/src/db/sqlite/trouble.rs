//! Why a file cannot be opened, by its cause.

use std::io;
use std::path::Path;

use rusqlite::{ErrorCode, ffi};
use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use super::descriptors::{FileId, LockError, lock_holder};
use super::location::{FileLocation, Location};
use crate::error::{Cause, ConnectError};

/// Bytes without which SQLite cannot open a file: the first piece of the log's index.
const LEAST_FREE_BYTES: u64 = 64 << 10;

/// What the system said about the file itself.
pub(super) fn file_error(file: &FileLocation, error: io::Error) -> ConnectError {
    let place = file.place.clone();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ConnectError::StorageFull { place, cause: Cause::new(error) }
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            ConnectError::NotWritable { place, reason: READ_ONLY.to_owned() }
        }
        io::ErrorKind::PermissionDenied => {
            let reason = denied(file).unwrap_or_else(|| error.to_string());
            ConnectError::NotWritable { place, reason }
        }
        io::ErrorKind::InvalidInput => ConnectError::Unusable { place, reason: error.to_string() },
        _ => ConnectError::FileFailed { place, cause: Cause::new(error) },
    }
}

const READ_ONLY: &str = "its file system is mounted read-only";

/// Why its lock is not to be had.
pub(super) fn lock_error(file: &FileLocation, id: FileId, error: LockError) -> ConnectError {
    let place = file.place.clone();
    match error {
        LockError::Held => {
            let holder = lock_holder(id);
            let holder = holder.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"));
            ConnectError::InUse { place, holder }
        }
        LockError::Failed(error) => ConnectError::NoLocks { place, cause: Cause::new(error) },
    }
}

/// That SQLite could open it for reading only.
pub(super) fn read_only(location: &Location) -> ConnectError {
    let reason = match location {
        Location::File(file) => unwritable(file),
        Location::Memory => None,
    };
    let reason = reason.unwrap_or_else(|| "the file or its directory cannot be written".to_owned());
    ConnectError::NotWritable { place: location.place(), reason }
}

/// What SQLite said, and what is seen of its cause.
pub(super) fn connect_error(location: &Location, error: rusqlite::Error) -> ConnectError {
    let place = location.place();
    let extended = error.sqlite_error().map(|failure| failure.extended_code);
    if matches!(extended, Some(ffi::SQLITE_IOERR_LOCK | ffi::SQLITE_IOERR_SHMLOCK | ffi::SQLITE_PROTOCOL)) {
        return ConnectError::NoLocks { place, cause: Cause::new(error) };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            return ConnectError::Unusable { place, reason: "it is not a SQLite database".to_owned() };
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            return ConnectError::Unusable { place, reason: error.to_string() };
        }
        Some(ErrorCode::DiskFull) => return ConnectError::StorageFull { place, cause: Cause::new(error) },
        _ => {}
    }
    let Location::File(file) = location else {
        return ConnectError::FileFailed { place, cause: Cause::new(error) };
    };
    if let Some(reason) = unwritable(file) {
        return ConnectError::NotWritable { place, reason };
    }
    let is_io = matches!(error.sqlite_error_code(), Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen));
    let free = folder(file).and_then(|folder| statvfs(folder).ok());
    let is_full = free.is_some_and(|free| free.f_bavail.saturating_mul(free.f_frsize) < LEAST_FREE_BYTES);
    if is_io && (is_full || extended == Some(ffi::SQLITE_IOERR_SHMSIZE)) {
        return ConnectError::StorageFull { place, cause: Cause::new(error) };
    }
    ConnectError::FileFailed { place, cause: Cause::new(error) }
}

fn unwritable(file: &FileLocation) -> Option<String> {
    let is_read_only =
        |folder: &Path| statvfs(folder).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY));
    if folder(file).is_some_and(is_read_only) {
        return Some(READ_ONLY.to_owned());
    }
    denied(file)
}

/// Which of the file, its folder and the files beside it this user may not write.
fn denied(file: &FileLocation) -> Option<String> {
    let is_denied = |path: &Path| {
        path.exists() && access(path, Access::WRITE_OK).is_err_and(|error| error == rustix::io::Errno::ACCESS)
    };
    let paths = [Some(file.paths.file.as_path()), folder(file), Some(&file.paths.log)];
    let denied = paths.into_iter().flatten().find(|path| is_denied(path))?;
    Some(format!("{} cannot be written by this user", denied.display()))
}

fn folder(file: &FileLocation) -> Option<&Path> {
    file.paths.file.parent()
}
