//! Where conversations come from: one file or folder for each kind of source.

pub mod jsonl;
mod lenient;
mod planning;
mod records;
mod row;
pub mod sqlalchemy;
pub mod tinydb;

use chatstore::Store;

use crate::engine::{Import, ImportOptions};
use crate::report::{GeneratedPassword, ImportEvent, ImportReport, ReportBuilder};

/// Something that holds conversations.
pub trait Source {
    /// Why an import of it fails.
    type Error: std::error::Error;

    /// Its tables, as the report is going to name them.
    fn tables(&self) -> Vec<&'static str>;

    /// Reads everything in order, hands it over, and ends with [`Import::finish`].
    fn read(self, import: Import<'_>) -> impl Future<Output = Result<ImportReport, Self::Error>>;
}

/// Imports everything that a source holds; `watch` is told what happens.
///
/// # Errors
/// What the source says about itself or about the store. What was written before is whole; running the
/// import again adds the rest.
pub async fn import<S: Source>(
    source: S,
    store: &Store,
    options: ImportOptions,
    watch: impl FnMut(ImportEvent),
) -> Result<ImportReport, S::Error> {
    import_keeping_passwords(source, store, options, |_| Ok(()), watch).await
}

/// The same, where `keep` is told each generated password before its user is stored, so that none is lost when the
/// process ends before it reads the report. A user whose batch is not stored after all gets another password next time.
///
/// # Errors
/// As [`import`], and [`InvalidState`](chatstore::ErrorKind) when `keep` fails: its user is not stored then.
pub async fn import_keeping_passwords<S: Source>(
    source: S,
    store: &Store,
    options: ImportOptions,
    mut keep: impl FnMut(&GeneratedPassword<'_>) -> std::io::Result<()>,
    mut watch: impl FnMut(ImportEvent),
) -> Result<ImportReport, S::Error> {
    let report = ReportBuilder::new(source.tables(), &mut watch);
    Box::pin(source.read(Import::new(store, options, report, &mut keep))).await
}
