//! What the database remembers: a record of what is applied, and a log of what was done. It is text that
//! is run here and printed for other clients alike.

pub(crate) mod log;
mod record;
mod values;

use crate::dialect::Dialect;

pub use log::LogEntry;
pub use record::{Applied, Progress};
pub(crate) use record::{History, delete, insert, mark};
pub(crate) use values::{Moment, quoted};

/// The engine's own tables; no tables of the schema.
pub const TABLES: [&str; 2] = [record::TABLE, log::TABLE];

/// Makes the tables.
pub(crate) fn create(dialect: Dialect) -> String {
    [record::create(dialect), log::create(dialect)].concat()
}
