//! The SQLAlchemy databases of chat_app and PAKTON, read where they are and never changed.
//!
//! [`Source::open`] recognises whose tables they are, [`Source::import`] brings their rows along. Every
//! row is accounted for: it is added, was there already, or is left out, and everything that did not
//! fit is [`Reported`]. What identifies a row of theirs gives the id of ours, so an import can be run
//! again, also after it was killed: it adds what is missing. Their keys, and what has no column of
//! ours, are kept in `metadata.source`.
//!
//! Their database is read in one transaction, piece by piece, and memory does not grow with it. Ours
//! is written in short transactions, so that others can write meanwhile. A run that writes nothing
//! remembers the ids and names of all rows, to find what is there twice.

mod added;
mod layout;
mod moment;
mod pieces;
mod plan;
mod row;
mod run;
mod tally;
mod users;

use std::collections::BTreeMap;
use std::path::Path;

use chatstore_model::Timestamp;
use chatstore_sql::ForeignDatabase;
use serde::Serialize;

use chatstore::Error;
use chatstore::Store;

pub use chatstore_sql::ForeignError;
pub use layout::{Mapping, Schema};

/// How to import.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The time of a first row that has none; a later one takes the time of the row before it.
    pub base_time: Timestamp,
    /// Read and compare every row, but write nothing.
    pub dry_run: bool,
}

/// What happened during an import.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Something was not as it should be.
    Reported(Reported),
    /// So many rows of theirs are done, of so many.
    Progress {
        /// Rows done.
        done: u64,
        /// Rows in all.
        total: u64,
    },
}

/// Something that was not as it should be, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reported {
    /// The table, by the name in their documents.
    pub table: &'static str,
    /// What identifies the row; nothing when it is about many.
    pub key: Option<String>,
    /// The column, by the name that it has there.
    pub column: Option<String>,
    /// What was wrong.
    pub problem: String,
    /// What was done.
    pub done: String,
    /// Whether the row was not imported.
    pub left_out: bool,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Their tables, by the names in their documents.
    pub tables: BTreeMap<&'static str, TableReport>,
}

impl Report {
    /// Rows of all tables that were added.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.tables.values().map(|table| table.added).sum()
    }

    /// Rows of all tables that were left out.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.tables.values().map(|table| table.left_out).sum()
    }
}

/// The rows of one table: `read` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Rows that are there.
    pub read: u64,
    /// Rows that were added, or would have been.
    pub added: u64,
    /// Rows that had been imported before.
    pub unchanged: u64,
    /// Rows that were not imported; each is reported.
    pub left_out: u64,
}

/// An import that could not be begun or finished. What was written before is whole; running the import
/// again adds the rest.
#[derive(Debug, thiserror::Error)]
pub enum SqlalchemyError {
    /// Their database cannot be read.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// Its tables are not those of a schema that is known.
    #[error("{place} is not recognised: {reasons}; its tables are: {tables}")]
    Unrecognised {
        /// The database.
        place: String,
        /// Why each schema does not fit.
        reasons: String,
        /// What tables it has.
        tables: String,
    },
    /// The mapping is wrong.
    #[error("the mapping is wrong: {0}")]
    Mapping(String),
    /// Our store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A database whose tables were recognised.
#[derive(Debug)]
pub struct Source {
    database: ForeignDatabase,
    layouts: layout::Layouts,
}

impl Source {
    /// Opens a database by the URL that SQLAlchemy is given, and finds the tables of the schema, or of
    /// the one that fits when none is named.
    ///
    /// # Errors
    /// [`SqlalchemyError::Foreign`], [`SqlalchemyError::Unrecognised`], [`SqlalchemyError::Mapping`].
    pub async fn open(url: &str, schema: Option<Schema>, mapping: &Mapping) -> Result<Self, SqlalchemyError> {
        let mut database = ForeignDatabase::open(url).await?;
        let layouts = layout::Layouts::find(&mut database, schema, mapping).await?;
        Ok(Self { database, layouts })
    }

    /// Whose tables they are.
    #[must_use]
    pub const fn schema(&self) -> Schema {
        self.layouts.schema
    }

    /// Where the database lies; never a password.
    #[must_use]
    pub fn place(&self) -> &str {
        self.database.place()
    }

    /// The file of a SQLite database.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.database.file()
    }

    /// Brings every row along; `watch` is told what happens.
    ///
    /// # Errors
    /// [`SqlalchemyError::Foreign`], [`SqlalchemyError::Store`].
    pub async fn import(
        self,
        store: &Store,
        options: Options,
        watch: impl FnMut(Event),
    ) -> Result<Report, SqlalchemyError> {
        run::run(self, store, options, watch).await
    }
}
