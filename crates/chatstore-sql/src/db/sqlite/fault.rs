//! What can happen to a file under a running process, and what is to be done about it.

use std::fmt;

use crate::error::{Cause, StoreError};

/// Why the file is not used any more; final until the process opens it anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is nothing at the path any more.
    Removed,
    /// There is another file at the path.
    Replaced,
    /// Another program wrote into the file.
    Overwritten,
    /// The write-ahead log is gone.
    LogRemoved,
    /// Another file is in the place of the write-ahead log.
    LogReplaced,
    /// Another program wrote into the write-ahead log.
    LogOverwritten,
    /// The log's index is gone, or another file is in its place.
    IndexRemoved,
    /// SQLite or its check found damage.
    Damaged,
}

/// How what is only in the log gets to safety.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rescue {
    /// It is moved into the file that is open, and the log is emptied, so that it is no log of another file's.
    MoveAndEmpty,
    /// It is moved into the file that is open.
    Move,
    /// It must not be moved into the other content; the log is renamed, so that nothing else moves it.
    SetAside,
    /// The log cannot be trusted.
    Nothing,
}

impl Fault {
    pub(super) const fn rescue(self) -> Rescue {
        match self {
            Self::Removed | Self::Replaced => Rescue::MoveAndEmpty,
            Self::LogRemoved | Self::LogReplaced | Self::IndexRemoved => Rescue::Move,
            Self::Overwritten => Rescue::SetAside,
            Self::LogOverwritten | Self::Damaged => Rescue::Nothing,
        }
    }

    /// What the operator is to do.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Removed => {
                "nothing is read or written until a restart; put the file back, or restore a backup, then restart"
            }
            Self::Replaced => {
                "nothing is read or written until a restart; keep the file that is to be used at the path, without a \
                 -wal and -shm of another, then restart"
            }
            Self::Overwritten => {
                "nothing is read or written until a restart; restore a backup, or keep the new content, then restart"
            }
            Self::LogRemoved | Self::LogReplaced => {
                "nothing is read or written until a restart; remove -wal and -shm, run `chatstore doctor`, then restart"
            }
            Self::LogOverwritten => {
                "nothing is read or written until a restart; remove -wal and -shm, run `chatstore doctor`, restore a \
                 backup if it finds damage, then restart"
            }
            Self::IndexRemoved => "nothing is read or written until a restart; restart",
            Self::Damaged => {
                "nothing is read or written until a restart; run `chatstore doctor`, then restore a backup \
                 with `chatstore restore`"
            }
        }
    }

    /// What every operation is answered with.
    pub(super) fn error(self) -> StoreError {
        match self {
            Self::Damaged => StoreError::Corrupt(self.to_string()),
            _ => StoreError::Unavailable(Cause::new(self.to_string())),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Removed => "the database file was removed or moved away",
            Self::Replaced => "the database file was replaced by another file",
            Self::Overwritten => "another program wrote into the database file",
            Self::LogRemoved => "the write-ahead log (-wal) of the database file was removed",
            Self::LogReplaced => {
                "the write-ahead log (-wal) of the database file was replaced by another file"
            }
            Self::LogOverwritten => {
                "another program wrote into the write-ahead log (-wal) of the database file"
            }
            Self::IndexRemoved => "the index (-shm) of the write-ahead log was removed or replaced",
            Self::Damaged => "the database file is damaged",
        })
    }
}
