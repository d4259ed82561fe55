//! Why a backup or a restore failed.

use std::io;
use std::path::{Path, PathBuf};

use chatstore_migrate::MigrationError;

use crate::error::{ConnectError, StoreError};

/// A backup, verification or restore that failed. No file is left that would verify.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The database is on a PostgreSQL server, which has tools of its own.
    #[error("the database at {place} is on a PostgreSQL server, not in a file")]
    Server {
        /// Host, port and name.
        place: String,
    },
    /// The database is in memory.
    #[error("the database is in memory, not in a file")]
    InMemory,
    /// A file exists that would be overwritten.
    #[error("{} exists", .0.display())]
    Exists(PathBuf),
    /// A file of the backup does not exist.
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    /// Another process is writing the same file.
    #[error("another process is writing {}", .0.display())]
    Busy(PathBuf),
    /// The name cannot be written into a checksum file.
    #[error("the file name {} must be UTF-8, without backslashes and control characters", .0.display())]
    InvalidName(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot {doing} {}: {cause}", .file.display())]
    File {
        /// `read`, `create` or `write`.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
    /// The backup is not what was written.
    #[error("{} is damaged: {reason}", .file.display())]
    Damaged {
        /// The backup.
        file: PathBuf,
        /// What differs.
        reason: String,
    },
    /// This version cannot work with the tables in it.
    #[error(transparent)]
    Schema(#[from] MigrationError),
    /// The database cannot be opened once more.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database cannot be read, or the copy cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The caller stopped waiting.
    #[error("it was interrupted")]
    Interrupted,
}

impl BackupError {
    pub(super) fn file(doing: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_path_buf();
        move |cause| match (doing, cause.kind()) {
            ("read", io::ErrorKind::NotFound) => Self::Missing(file),
            _ => Self::File { doing, file, cause },
        }
    }

    pub(super) fn damaged(file: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_path_buf(), reason: reason.into() }
    }
}
