//! What can go wrong. Every message names the revision and the way out.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::model::ColumnType;

/// What kind of failure a database reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseErrorKind {
    /// Somebody else holds what is needed.
    Busy,
    /// The user may not do this, or the database takes no writes.
    Denied,
    /// It cannot be reached, or the connection was lost.
    Unavailable,
    /// Its disk is full.
    StorageFull,
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
    /// A folder of a revision cannot be understood.
    #[error("the revision in {folder} is not well-formed: {reason}")]
    Malformed {
        /// The folder's name.
        folder: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// Two folders have one id.
    #[error("the revision {0} is there twice; give one of the two folders another id")]
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
    /// A revision builds on one that is not there.
    #[error(
        "the revision {revision} builds on {parent}, which is not there; restore its folder or correct {revision}"
    )]
    UnknownParent {
        /// The revision.
        revision: String,
        /// What it names.
        parent: String,
    },
    /// Revisions build on each other in a circle.
    #[error("the revisions {} build on each other in a circle; take one of these steps away", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// No revision is called so.
    #[error("there is no revision {0}; `chatstore migrate history` lists all of them")]
    NoSuchRevision(String),
    /// Several revisions begin so.
    #[error("{name} may be each of the revisions {}; write more digits", .candidates.join(", "))]
    Ambiguous {
        /// What was written.
        name: String,
        /// What it may mean.
        candidates: Vec<String>,
    },
    /// There is more than one end.
    #[error(
        "there are {} heads: {}; name one of them, upgrade to `heads`, or join them with \
         `chatstore migrate merge -m TEXT {}`", .0.len(), .0.join(", "), .0.join(" ")
    )]
    SeveralHeads(Vec<String>),
    /// Fewer revisions are left than steps were asked for.
    #[error("steps asked for: {asked}; steps left: {left}{}", .next.as_ref().map(|next| format!(", beginning with {next}")).unwrap_or_default())]
    TooFar {
        /// Steps asked for.
        asked: usize,
        /// Steps that can be made.
        left: usize,
        /// The first of those.
        next: Option<String>,
    },
    /// What is asked for makes no sense in this direction.
    #[error("{0}")]
    WrongTarget(String),
    /// The revision to go back to is not applied.
    #[error(
        "the revision {0} is not applied, so there is no way back to it; `chatstore migrate current` shows what is"
    )]
    NotApplied(String),
    /// The database was migrated by a newer program.
    #[error(
        "the database has the revision {0}, which this version does not know; use the version that made it"
    )]
    UnknownRevision(String),
    /// An applied revision is not the one in this program.
    #[error(
        "the revision {0} was applied with another text than this version has; use the version that made it, \
         restore its files, or, when the difference does not matter, record the new text with \
         `chatstore migrate stamp {0}`"
    )]
    Edited(String),
    /// The history in the database is somebody else's.
    #[error("{0}; name a database of its own for chatstore")]
    ForeignDatabase(String),
    /// A revision has no way back on this database.
    #[error("the revision {revision} has no {file}, so it cannot be undone; write it, or restore a backup")]
    MissingDown {
        /// The revision.
        revision: String,
        /// The file it lacks.
        file: String,
    },
    /// Undoing would delete data and nobody said that this is wanted.
    #[error("undoing a revision deletes what its tables hold: {0}")]
    LosesData(String),
    /// A revision names a function that this program has not.
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
    /// A script cannot hold a function.
    #[error(
        "the revision {revision} runs the data step {step}, which is no SQL; print the script up to the revision \
         before it, apply this one with `chatstore migrate upgrade +1`, and print the rest"
    )]
    DataStepInScript {
        /// The revision.
        revision: String,
        /// The name.
        step: String,
    },
    /// A step outside a transaction was interrupted, and a script cannot look at what it left.
    #[error(
        "the revision {0} was interrupted outside a transaction; finish it with `chatstore migrate upgrade {0}` first"
    )]
    InterruptedInScript(String),
    /// Another process is migrating and does not finish.
    #[error("another process is migrating this database and did not finish in {} seconds; try again later", .0.as_secs())]
    Busy(Duration),
    /// Another process went the other way between two steps of this one.
    #[error(
        "another process undid what the revision {0} builds on, or applied what builds on it, in the meantime; \
         run the command again"
    )]
    Overtaken(String),
    /// The user may not do this.
    #[error("no permission for {doing}: {cause}; grant it to this user, or use one who has it")]
    Denied {
        /// What was being done, with the revision.
        doing: String,
        /// The database's words.
        cause: DatabaseError,
    },
    /// The database failed.
    #[error("{doing} failed: {cause}")]
    Database {
        /// What was being done, with the revision.
        doing: String,
        /// The database's words.
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
    #[error("{0:?} is no rename; write OLD:NEW for a table and TABLE.OLD:NEW for a column")]
    Unreadable(String),
    /// What is to be renamed is not there.
    #[error("there is no {0} in the newest revision that could be renamed")]
    NothingToRename(String),
    /// What is to be renamed would have the name of something that is there.
    #[error("{old} cannot be renamed to {new} while another has that name; make it two revisions")]
    NameTaken {
        /// What is to be renamed.
        old: String,
        /// The name that is taken.
        new: String,
    },
    /// SQLite fails to rename the only column of a primary key by which it stores the rows when a unique
    /// constraint has the column too.
    #[error(
        "SQLite cannot rename {0}, the whole primary key, while a unique constraint has it too; drop that first"
    )]
    RenameOfKey(String),
    /// Two keys of a table are of the same columns: PostgreSQL makes one of them, and SQLite cannot rename
    /// their columns.
    #[error("the unique constraint {0} is of the same columns as another key; leave it out")]
    SameKey(String),
    /// One thing goes and one like it comes.
    #[error(
        "{dropped} is gone and {added} of the same type is new; say `--rename {rename}` when it is the same, \
         or `--no-rename` when what it holds is to be deleted"
    )]
    MayBeRename {
        /// What is gone.
        dropped: String,
        /// What is new.
        added: String,
        /// What would say that it is a rename.
        rename: String,
    },
    /// Rows that are there have no value for a new column.
    #[error("the new column {0} needs a default, or must be nullable, for the rows that are there")]
    NeedsDefault(String),
    /// Values of one type are no values of another.
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
