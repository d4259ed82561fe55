//! What can go wrong, by meaning rather than by driver.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use chatstore_model::Invalid;

use crate::marked::Marked;

/// The driver's error behind ours; shared, because one failed commit fails every write in it.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    pub(crate) fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }

    pub(crate) fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Display for Cause {
    /// The whole chain, outermost first: drivers keep the telling part in their source.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(formatter, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// An operation of the store that failed. Nothing of it was stored, except after
/// [`OutcomeUnknown`](Self::OutcomeUnknown).
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// What the operation is about does not exist, or belongs to another user.
    #[error("{entity} not found")]
    NotFound {
        /// The kind of thing.
        entity: &'static str,
    },
    /// A value that must be unique is taken.
    #[error("{entity} with this {field} already exists")]
    AlreadyExists {
        /// The kind of thing.
        entity: &'static str,
        /// The field whose value is taken.
        field: &'static str,
    },
    /// Something with this id is being deleted, piece by piece. It may be created again when that is done.
    #[error("a {} with this id is being deleted", .0.entity())]
    BeingDeleted(Marked),
    /// A row refers to another that does not exist (any more).
    #[error("{entity} refers to something that does not exist")]
    MissingReference {
        /// The kind of thing that refers.
        entity: &'static str,
    },
    /// The request breaks a limit.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The operation contradicts the present state; the text says how.
    #[error("{0}")]
    InvalidState(&'static str),
    /// Another transaction got in the way, again and again.
    #[error("too many conflicting writes; try again: {0}")]
    Conflict(Cause),
    /// The database cannot be reached, or no connection became free in time.
    #[error("the database is unavailable: {0}")]
    Unavailable(Cause),
    /// More is waiting for the database than it accepts; the text says what.
    #[error("the database has too much to do: {0}")]
    Overloaded(&'static str),
    /// The database took too long.
    #[error("the database did not answer in time: {0}")]
    Timeout(Cause),
    /// The connection was lost while a write was being committed: it may or may not be stored.
    #[error("the connection was lost during a commit; whether it took effect is unknown: {0}")]
    OutcomeUnknown(Cause),
    /// The disk is full.
    #[error("the database's disk is full: {0}")]
    StorageFull(Cause),
    /// The database does not take writes.
    #[error("the database is read-only: {0}")]
    ReadOnly(Cause),
    /// What is stored is not what was written, or not of this schema.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
    /// Any other failure of the database, or a defect of ours.
    #[error("the database failed: {0}")]
    Backend(Cause),
}

impl StoreError {
    pub(crate) fn backend(message: impl Into<String>) -> Self {
        Self::Backend(Cause::new(message.into()))
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn closed() -> Self {
        Self::Unavailable(Cause::new("the store is closed"))
    }

    /// Whether the same operation may succeed when it is simply tried again. Never after
    /// [`OutcomeUnknown`](Self::OutcomeUnknown): a blind repetition might do it twice.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Unavailable(_) | Self::Overloaded(_) | Self::Timeout(_))
    }
}

/// A PostgreSQL database whose encoding cannot hold every text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database has the encoding {0}, which cannot hold every text")]
pub struct UnsupportedEncoding(String);

impl UnsupportedEncoding {
    /// The encoding that every database must have.
    pub const REQUIRED: &'static str = "UTF8";

    /// What to do about it.
    pub const REMEDY: &'static str =
        "move to a database created with `create database … encoding 'UTF8' template template0`";

    #[cfg(feature = "postgres")]
    pub(crate) fn check(encoding: Option<&str>) -> Result<(), Self> {
        match encoding {
            Some(other) if other != Self::REQUIRED => Err(Self(other.to_owned())),
            _ => Ok(()),
        }
    }
}

/// A database that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL names no database we know, or not in a form we understand.
    #[error("cannot use the database URL {url}: {reason}")]
    InvalidUrl {
        /// The URL without its password.
        url: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// Nothing answers there, or not in time.
    #[error("cannot reach the database at {place}: {cause}")]
    Unreachable {
        /// File, or host and port.
        place: String,
        /// The driver's words.
        cause: Cause,
    },
    /// The server or the file system refuses us.
    #[error("no permission to use the database at {place}: {cause}")]
    Denied {
        /// File, or host and port.
        place: String,
        /// The driver's words.
        cause: Cause,
    },
    /// The file cannot be created there.
    #[error("cannot create the database {place}: {reason}")]
    CannotCreate {
        /// The file.
        place: String,
        /// Why.
        reason: String,
    },
    /// Another process owns the SQLite file ([`FileLock::Own`](crate::FileLock::Own)).
    #[error("{holder} already serves this database: {place}")]
    InUse {
        /// The file.
        place: String,
        /// `process` and its id, where the system tells it.
        holder: String,
    },
    /// The SQLite file, or the folder in which SQLite keeps files beside it, takes no writes.
    #[error("no permission to use the database at {place}: {reason}")]
    NotWritable {
        /// The file.
        place: String,
        /// What cannot be written, or why.
        reason: String,
    },
    /// There is no room on the disk for what SQLite needs beside its file.
    #[error("the disk of the database {place} is full: {cause}")]
    StorageFull {
        /// The file.
        place: String,
        /// The driver's words.
        cause: Cause,
    },
    /// The file system knows no locks, or has none left.
    #[error("cannot lock the database {place}: {cause}")]
    NoLocks {
        /// The file.
        place: String,
        /// The system's words.
        cause: Cause,
    },
    /// Any other failure of the SQLite file.
    #[error("cannot open the database {place}: {cause}")]
    FileFailed {
        /// The file.
        place: String,
        /// The driver's words.
        cause: Cause,
    },
    /// The file is damaged, or something else than a chatstore database.
    #[error("{place} cannot be used as a chatstore database: {reason}")]
    Unusable {
        /// File, or host and port.
        place: String,
        /// Why.
        reason: String,
    },
}
