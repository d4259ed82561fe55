//! The history in the database: a record of what is applied, and a log of what was done. Both are written by
//! SQL text, which is run here and printed for other clients.

pub(crate) mod log;
mod record;
mod values;

use crate::dialect::Dialect;

pub use log::LogEntry;
pub(crate) use record::{History, delete, insert, mark};
pub use record::{HistoryEntry, Progress};
pub(crate) use values::{Moment, quoted};

/// The engine's own tables, which are not part of the schema.
pub const TABLES: [&str; 2] = [record::TABLE, log::TABLE];

/// Creates the tables.
pub(crate) fn create(dialect: Dialect) -> String {
    [record::create(dialect), log::create(dialect)].concat()
}
