//! Where conversations come from: one file or folder for each kind of source.

pub mod jsonl;
mod row;
pub mod sqlalchemy;

use crate::engine::Import;
use crate::report::ImportReport;

/// Something that holds conversations.
pub trait Source {
    /// Why an import of it fails.
    type Error: std::error::Error;

    /// Its tables, as the report is going to name them.
    fn tables(&self) -> Vec<&'static str>;

    /// Reads everything in order, hands it over, and ends with [`Import::finish`].
    fn read(self, import: Import<'_>) -> impl Future<Output = Result<ImportReport, Self::Error>>;
}
