//! What happens to the files.

use std::fs;
use std::path::{Path, PathBuf};

use chatstore_bench::error::Error;
use rusqlite::Connection;

use super::judge;
use super::writer::Sent;

/// Bytes of what is no database.
const GARBAGE_BYTES: usize = 300_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Fault {
    Removed,
    Moved,
    BackupMovedOver,
    BackupCopiedOver,
    GarbageMovedOver,
    GarbageCopiedOver,
    LogRemoved,
    LogReplaced,
    IndexRemoved,
}

/// A fault that is about to happen to a file.
pub(super) struct Prepared {
    fault: Fault,
    file: PathBuf,
    /// What is put somewhere, and its content.
    put: PathBuf,
    content: Vec<u8>,
}

impl Fault {
    /// Backups are taken now, before anything is written.
    pub(super) fn prepare(self, file: &Path) -> Result<Prepared, Error> {
        let put = beside(file, ".put");
        match self {
            Self::BackupMovedOver | Self::BackupCopiedOver => {
                let to = put.to_str().ok_or("the folder is not UTF-8")?;
                Connection::open(file)?.execute("vacuum into ?1", [to])?;
            }
            Self::GarbageMovedOver | Self::GarbageCopiedOver | Self::LogReplaced => {
                fs::write(&put, b"garbage ".repeat(GARBAGE_BYTES / 8))?;
            }
            Self::Removed | Self::Moved | Self::LogRemoved | Self::IndexRemoved => {}
        }
        let content = if put.exists() { fs::read(&put)? } else { Vec::new() };
        Ok(Prepared { fault: self, file: file.to_path_buf(), put, content })
    }
}

impl Prepared {
    pub(super) fn happen(&self) -> Result<(), Error> {
        let Self { fault, file, put, .. } = self;
        match fault {
            Fault::Removed => fs::remove_file(file)?,
            Fault::Moved => fs::rename(file, put)?,
            Fault::BackupMovedOver | Fault::GarbageMovedOver => fs::rename(put, file)?,
            Fault::BackupCopiedOver | Fault::GarbageCopiedOver => {
                fs::copy(put, file)?;
            }
            Fault::LogRemoved => fs::remove_file(beside(file, "-wal"))?,
            Fault::LogReplaced => fs::rename(put, beside(file, "-wal"))?,
            Fault::IndexRemoved => fs::remove_file(beside(file, "-shm"))?,
        }
        Ok(())
    }

    /// What is wrong once the server has stopped.
    pub(super) fn judge(&self, sent: &[Sent]) -> Result<Vec<String>, Error> {
        let Self { fault, file, put, content } = self;
        match fault {
            Fault::Removed if file.exists() => Ok(vec!["the removed file is there again".to_owned()]),
            Fault::Removed => Ok(Vec::new()),
            Fault::Moved => judge::holds_everything(put, sent),
            Fault::BackupMovedOver | Fault::BackupCopiedOver => judge::is_untouched(file, content, true),
            Fault::GarbageMovedOver | Fault::GarbageCopiedOver => judge::is_untouched(file, content, false),
            Fault::LogRemoved | Fault::IndexRemoved => judge::holds_everything(file, sent),
            Fault::LogReplaced => {
                let log = beside(file, "-wal");
                let mut violations = judge::is_untouched(&log, content, false)?;
                fs::remove_file(log)?;
                violations.extend(judge::holds_everything(file, sent)?);
                Ok(violations)
            }
        }
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(ending);
    PathBuf::from(path)
}
