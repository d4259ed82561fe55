//! What can go wrong. Every message names the revision and says what to do.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::model::ColumnType;

/// What kind of failure a database reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseErrorKind {
    /// Another connection holds a lock that is needed.
    Busy,
    /// The database user lacks a permission, or the database is read-only.
    Denied,
    /// It cannot be reached, or the connection was lost.
    Unavailable,
    /// Its disk is full.
    StorageFull,
    /// It cannot hold what would be stored there, and will not without being created anew.
    Unsuitable,
    /// Rows that a data step cannot convert, until a person has changed them.
    UnsuitableRows,
    /// It is damaged.
    Corrupt,
    /// The statement is wrong, or anything else.
    Failed,
}

/// A failure that the database reports.
#[derive(Debug)]
pub struct DatabaseError {
    /// What kind it is.
    pub kind: DatabaseErrorKind,
    cause: Box<dyn Error + Send + Sync>,
}

impl DatabaseError {
    /// A failure with the driver's error or words.
    pub fn new(kind: DatabaseErrorKind, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, cause: cause.into() }
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.cause)
    }
}

impl Error for DatabaseError {}

/// A migration that could not be done. Revisions applied before it stay applied; nothing of the
/// revision that is named was, except where the text says so.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The folder of a revision is not well-formed.
    #[error("the revision in {folder} is not well-formed: {reason}")]
    Malformed {
        /// The folder's name.
        folder: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// Two folders have the same id.
    #[error("two folders have the revision {0}; give one of them another id")]
    Duplicate(String),
    /// A label is on two revisions.
    #[error("the label {label} is on the revisions {first} and {second}; a label belongs to one")]
    DuplicateLabel {
        /// The label.
        label: String,
        /// One of the two.
        first: String,
        /// The other.
        second: String,
    },
    /// A revision builds on one that does not exist.
    #[error(
        "the revision {revision} builds on {parent}, which does not exist; restore its folder or correct {revision}"
    )]
    UnknownParent {
        /// The revision.
        revision: String,
        /// What it names.
        parent: String,
    },
    /// Revisions build on each other in a circle.
    #[error("the revisions {} build on each other in a circle; remove one of these links", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// No revision has this name.
    #[error("there is no revision {0}; `chatstore migrate history` lists all of them")]
    NoSuchRevision(String),
    /// Several revisions match this name.
    #[error("{name} matches the revisions {}; write more digits", .candidates.join(", "))]
    Ambiguous {
        /// What was written.
        name: String,
        /// What it matches.
        candidates: Vec<String>,
    },
    /// There is more than one head.
    #[error(
        "there are {} heads: {}; name one of them, upgrade to `heads`, or join them with \
         `chatstore migrate merge -m TEXT {}`", .0.len(), .0.join(", "), .0.join(" ")
    )]
    SeveralHeads(Vec<String>),
    /// Fewer revisions are left than steps were requested.
    #[error("steps requested: {asked}; steps left: {left}{}", .next.as_ref().map(|next| format!(", beginning with {next}")).unwrap_or_default())]
    TooFar {
        /// Steps requested.
        asked: usize,
        /// Steps that are left.
        left: usize,
        /// The first of those.
        next: Option<String>,
    },
    /// The target does not fit the direction.
    #[error("{0}")]
    WrongTarget(String),
    /// The revision to go back to is not applied.
    #[error(
        "the revision {0} is not applied, so nothing can go back to it; `chatstore migrate current` shows what is"
    )]
    NotApplied(String),
    /// The database was migrated by a newer program.
    #[error(
        "the database has the revision {0}, which this version does not know; use the version that applied it"
    )]
    UnknownRevision(String),
    /// An applied revision is not the one in this program.
    #[error(
        "the revision {0} was applied with a different text than this version has; use the version that applied it, \
         restore its files, or, when the difference does not matter, record the new text with \
         `chatstore migrate stamp` and the newest applied revision"
    )]
    Edited(String),
    /// The tables are not what the revisions that a stamp would record create; how they differ.
    #[error("the tables are not those of the revisions that would be recorded:{}", .0.iter().map(|deviation| format!("\n  {deviation}")).collect::<String>())]
    OtherTables(Vec<String>),
    /// The history in the database is not one of chatstore.
    #[error("{0}; use a separate database for chatstore")]
    ExternalDatabase(String),
    /// A revision cannot be undone on this database.
    #[error("the revision {revision} has no {file}, so it cannot be undone; write it, or restore a backup")]
    MissingDown {
        /// The revision.
        revision: String,
        /// The file it lacks.
        file: String,
    },
    /// Undoing would delete data, which was not allowed.
    #[error("undoing a revision deletes what its tables hold: {0}")]
    Destructive(String),
    /// A revision names a function that this program does not have.
    #[error(
        "the revision {revision} needs the data step {step}, which this program does not have; use the version that \
         has it, or correct data_step in revision.toml"
    )]
    UnknownDataStep {
        /// The revision.
        revision: String,
        /// The name.
        step: String,
    },
    /// A script cannot contain a function.
    #[error(
        "the revision {revision} runs the data step {step}, which is not SQL; print the script up to the revision \
         before it, apply this one with `chatstore migrate upgrade +1`, and print the rest"
    )]
    DataStepInScript {
        /// The revision.
        revision: String,
        /// The name.
        step: String,
    },
    /// A step outside a transaction was interrupted, and a script cannot see what it left.
    #[error(
        "the revision {0} was interrupted outside a transaction; finish it with `chatstore migrate upgrade {0}` first"
    )]
    InterruptedInScript(String),
    /// Another process is migrating and does not finish.
    #[error("another process is migrating this database and did not finish in {} seconds; try again later", .0.as_secs())]
    Busy(Duration),
    /// Another process migrated in the other direction between two steps of this one.
    #[error(
        "another process undid what the revision {0} builds on, or applied what builds on it, in the meantime; \
         run the command again"
    )]
    Overtaken(String),
    /// The database user lacks a permission.
    #[error("no permission for {doing}: {cause}; grant it to this user, or connect as a user who has it")]
    Denied {
        /// The operation that failed, with its revision.
        doing: String,
        /// The message of the database.
        cause: DatabaseError,
    },
    /// The database failed.
    #[error("{doing} failed: {cause}")]
    Database {
        /// The operation that failed, with its revision.
        doing: String,
        /// The message of the database.
        cause: DatabaseError,
    },
}

impl MigrationError {
    /// What the database reported while `doing` something.
    pub(crate) fn database(doing: impl Into<String>, cause: DatabaseError) -> Self {
        let doing = doing.into();
        if cause.kind == DatabaseErrorKind::Denied {
            return Self::Denied { doing, cause };
        }
        Self::Database { doing, cause }
    }
}

/// Why SQL between two schemas cannot be written. Every message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// A rename is not well-formed.
    #[error("{0:?} is not a rename; write OLD:NEW for a table and TABLE.OLD:NEW for a column")]
    Unreadable(String),
    /// What is to be renamed does not exist.
    #[error("the newest revision has no {0} to rename")]
    NothingToRename(String),
    /// The new name is in use.
    #[error("{old} cannot be renamed to {new} while that name is in use; write two revisions")]
    NameTaken {
        /// What is to be renamed.
        old: String,
        /// The name that is in use.
        new: String,
    },
    /// SQLite fails to rename the only column of a primary key by which it stores the rows when a unique
    /// constraint has the column too.
    #[error(
        "SQLite cannot rename {0}, the whole primary key, while a unique constraint has it too; drop that first"
    )]
    RenameOfKey(String),
    /// Two keys of a table have the same columns: PostgreSQL creates one of them, and SQLite cannot rename
    /// their columns.
    #[error("the unique constraint {0} has the same columns as another key; remove it")]
    SameKey(String),
    /// Something is dropped and something similar is added.
    #[error(
        "{dropped} is gone and {added} of the same type is new; add `--rename {rename}` if it was renamed, \
         or `--no-rename` if its data is to be deleted"
    )]
    MayBeRename {
        /// What is gone.
        dropped: String,
        /// What is new.
        added: String,
        /// The option that declares it a rename.
        rename: String,
    },
    /// Existing rows have no value for a new column.
    #[error("the new column {0} needs a default, or must be nullable, because of existing rows")]
    NeedsDefault(String),
    /// Values of one type cannot become values of another.
    #[error("there is no conversion of {column} from {from:?} to {to:?}; write the revision by hand")]
    NoConversion {
        /// The column.
        column: String,
        /// Its type so far.
        from: ColumnType,
        /// Its declared type.
        to: ColumnType,
    },
}
