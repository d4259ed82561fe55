//! What an import says about itself: counts for every table, and an issue for every row that did not fit.

use std::collections::BTreeMap;

use serde::Serialize;

/// What happened during an import.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImportEvent {
    /// Something did not fit.
    Issue(Issue),
    /// How far the import is, in rows or in bytes.
    Progress {
        /// What is done.
        done: u64,
        /// What there is in all.
        total: u64,
    },
}

/// Something that did not fit, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// The table, by its name in the documents of the source.
    pub table: &'static str,
    /// What identifies the row; none when it is about many rows.
    pub key: Option<String>,
    /// The column, by its name in the source.
    pub column: Option<String>,
    /// What was wrong.
    pub problem: String,
    /// What was done.
    pub done: String,
    /// Whether the row was not imported. Each row that was not has exactly one such issue.
    pub left_out: bool,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The tables of the source, by their names in its documents.
    pub tables: BTreeMap<&'static str, TableReport>,
}

impl ImportReport {
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

    /// The counts of one table; zeros for one that the source does not have.
    #[must_use]
    pub fn table(&self, name: &str) -> TableReport {
        self.tables.get(name).copied().unwrap_or_default()
    }
}

/// The rows of one table: `read` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Rows of the source.
    pub read: u64,
    /// Rows that were added, or in a dry run would have been.
    pub added: u64,
    /// Rows that are stored already.
    pub unchanged: u64,
    /// Rows that were not imported; each has an [`Issue`].
    pub left_out: u64,
}

/// The report while it grows.
pub(crate) struct ReportBuilder<'w> {
    report: ImportReport,
    done: u64,
    total: u64,
    watch: &'w mut dyn FnMut(ImportEvent),
}

impl<'w> ReportBuilder<'w> {
    pub(crate) fn new(tables: Vec<&'static str>, watch: &'w mut dyn FnMut(ImportEvent)) -> Self {
        let tables = tables.into_iter().map(|name| (name, TableReport::default())).collect();
        Self { report: ImportReport { tables }, done: 0, total: 0, watch }
    }

    pub(crate) const fn expect_rows(&mut self, total: u64) {
        self.total = total;
    }

    pub(crate) fn count(&mut self, table: &'static str, added: u64, unchanged: u64) {
        self.add(table, TableReport { added, unchanged, ..TableReport::default() });
    }

    /// Passes an issue on, and counts the row when it was left out.
    pub(crate) fn issue(&mut self, issue: Issue) {
        if issue.left_out {
            self.add(issue.table, TableReport { left_out: 1, ..TableReport::default() });
        }
        (self.watch)(ImportEvent::Issue(issue));
    }

    pub(crate) fn issues(&mut self, issues: impl IntoIterator<Item = Issue>) {
        issues.into_iter().for_each(|issue| self.issue(issue));
    }

    pub(crate) fn added(&self, table: &str) -> u64 {
        self.report.table(table).added
    }

    /// Says how many of the expected rows are done.
    pub(crate) fn progress(&mut self) {
        if self.total > 0 {
            (self.watch)(ImportEvent::Progress { done: self.done, total: self.total });
        }
    }

    pub(crate) fn progress_at(&mut self, done: u64, total: u64) {
        (self.watch)(ImportEvent::Progress { done, total });
    }

    pub(crate) fn finish(self) -> ImportReport {
        self.report
    }

    fn add(&mut self, table: &'static str, rows: TableReport) {
        let read = rows.added + rows.unchanged + rows.left_out;
        if read == 0 {
            return;
        }
        let counted = self.report.tables.entry(table).or_default();
        counted.read += read;
        counted.added += rows.added;
        counted.unchanged += rows.unchanged;
        counted.left_out += rows.left_out;
        self.done += read;
    }
}
