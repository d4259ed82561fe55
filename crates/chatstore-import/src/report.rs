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

/// A password that was generated for a user who had none.
#[derive(Debug)]
pub struct GeneratedPassword<'p> {
    /// What identifies the user's row in the source.
    pub key: &'p str,
    /// The name, if the user has one.
    pub username: Option<&'p str>,
    /// The password.
    pub password: &'p str,
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
    /// Whether a person should look at it: who is who, or how somebody logs in, is another thing than in the source.
    pub needs_review: bool,
    /// Whether it tells a password that was generated, which nothing else tells.
    #[serde(skip)]
    pub is_password: bool,
}

impl Issue {
    /// An issue of the row with this key.
    #[must_use]
    pub fn of_row(
        table: &'static str,
        key: &str,
        problem: impl Into<String>,
        done: impl Into<String>,
    ) -> Self {
        Self { key: Some(key.to_owned()), ..Self::of_table(table, problem, done) }
    }

    /// An issue of many rows.
    #[must_use]
    pub fn of_table(table: &'static str, problem: impl Into<String>, done: impl Into<String>) -> Self {
        let (problem, done) = (problem.into(), done.into());
        Self {
            table,
            key: None,
            column: None,
            problem,
            done,
            left_out: false,
            needs_review: false,
            is_password: false,
        }
    }

    /// The same about one column.
    #[must_use]
    pub fn in_column(self, column: &str) -> Self {
        Self { column: Some(column.to_owned()), ..self }
    }

    /// The same of something that a person should look at.
    #[must_use]
    pub fn needing_review(self) -> Self {
        Self { needs_review: true, ..self }
    }

    /// The same of a row that was not imported.
    #[must_use]
    pub fn leaving_out(self) -> Self {
        Self { left_out: true, ..self }
    }
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The tables of the source, by their names in its documents.
    pub tables: BTreeMap<&'static str, TableReport>,
    /// Issues that [need a person](Issue::needs_review).
    pub need_review: u64,
    /// Rows that were left out because no import takes their kind.
    #[serde(skip)]
    pub passed_over: u64,
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

    /// Whether a person need not look at it: nothing was left out but what no import takes, and nothing needs a review;
    /// or everything that the source has for it was imported, and reported, before.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let is_clean = self.left_out() == self.passed_over && self.need_review == 0;
        let is_repetition = self.added() == 0 && self.tables.values().any(|table| table.unchanged > 0);
        is_clean || is_repetition
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

/// What became of some rows.
#[derive(Debug, Default, Clone)]
pub(crate) struct RowsReport {
    /// Of rows that are not left out.
    counts: BTreeMap<&'static str, TableReport>,
    pub(crate) issues: Vec<Issue>,
}

impl RowsReport {
    pub(crate) fn add(&mut self, table: &'static str, rows: u64) {
        self.counts.entry(table).or_default().added += rows;
    }

    pub(crate) fn keep(&mut self, table: &'static str) {
        self.counts.entry(table).or_default().unchanged += 1;
    }
}

/// The report of an import while it grows.
pub struct ReportBuilder<'w> {
    report: ImportReport,
    /// Rows that are expected; 0 when their number is unknown.
    total: u64,
    watch: &'w mut dyn FnMut(ImportEvent),
}

impl<'w> ReportBuilder<'w> {
    pub(crate) fn new(tables: Vec<&'static str>, watch: &'w mut dyn FnMut(ImportEvent)) -> Self {
        let tables = tables.into_iter().map(|name| (name, TableReport::default())).collect();
        Self { report: ImportReport { tables, ..ImportReport::default() }, total: 0, watch }
    }

    /// Says how many rows are going to come, so that progress can be shown.
    pub const fn expect_rows(&mut self, total: u64) {
        self.total = total;
    }

    /// Says how many of the expected rows are done.
    pub fn progress(&mut self) {
        if self.total > 0 {
            self.progress_at(self.read(), self.total);
        }
    }

    /// Rows of all tables that are done.
    pub(crate) fn read(&self) -> u64 {
        self.report.tables.values().map(|table| table.read).sum()
    }

    /// Says how far the import is, by another measure than rows.
    pub fn progress_at(&mut self, done: u64, total: u64) {
        (self.watch)(ImportEvent::Progress { done, total });
    }

    /// Reports something that did not fit. A row that is left out is counted.
    pub fn issue(&mut self, issue: Issue) {
        if issue.left_out {
            self.count(issue.table, TableReport { left_out: 1, ..TableReport::default() });
        }
        self.report.need_review += u64::from(issue.needs_review);
        (self.watch)(ImportEvent::Issue(issue));
    }

    /// Rows of a table that were added so far.
    #[must_use]
    pub fn added(&self, table: &str) -> u64 {
        self.report.table(table).added
    }

    /// Counts a row that is stored together with another.
    pub(crate) fn keep(&mut self, table: &'static str) {
        self.count(table, TableReport { unchanged: 1, ..TableReport::default() });
    }

    /// Counts rows that no import takes, and says why.
    pub(crate) fn pass_over(&mut self, issue: Issue, rows: u64) {
        self.count(issue.table, TableReport { left_out: rows, ..TableReport::default() });
        self.report.passed_over += rows;
        (self.watch)(ImportEvent::Issue(issue));
    }

    pub(crate) fn rows(&mut self, rows: RowsReport) {
        rows.counts.into_iter().for_each(|(table, counted)| self.count(table, counted));
        rows.issues.into_iter().for_each(|issue| self.issue(issue));
    }

    pub(crate) fn finish(mut self) -> ImportReport {
        self.progress();
        self.report
    }

    fn count(&mut self, table: &'static str, rows: TableReport) {
        let counted = self.report.tables.entry(table).or_default();
        counted.read += rows.added + rows.unchanged + rows.left_out;
        counted.added += rows.added;
        counted.unchanged += rows.unchanged;
        counted.left_out += rows.left_out;
    }
}
