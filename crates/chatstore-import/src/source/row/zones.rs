//! Times without a zone, which are reported once for all rows of a table.

use std::collections::BTreeMap;

use super::Row;
use crate::engine::Import;
use crate::report::Issue;

/// How many rows have a time without a zone, by table and column.
#[derive(Debug, Default)]
pub(in crate::source) struct TimesWithoutZone(BTreeMap<(&'static str, &'static str), u64>);

impl TimesWithoutZone {
    pub(in crate::source) fn count(&mut self, row: &Row<'_>) {
        for column in &row.without_zone {
            *self.0.entry((row.layout.name, column)).or_default() += 1;
        }
    }

    /// Reports them for the tables of which something was added.
    pub(in crate::source) fn report(self, import: &mut Import<'_>) {
        for ((table, column), rows) in self.0 {
            if import.report.added(table) > 0 {
                let problem = format!("the times of {rows} rows have no zone");
                import.report.issue(Issue::of_table(table, problem, "taken as UTC").in_column(column));
            }
        }
    }
}
