//! Counts what became of the rows, and says what was noted.

use std::collections::BTreeMap;

use super::layout::Layouts;
use super::pieces::Rows;
use super::{Event, Report, Reported};

/// The report while it grows.
pub(super) struct Tally<W> {
    report: Report,
    without_zone: BTreeMap<(&'static str, &'static str), u64>,
    done: u64,
    total: u64,
    watch: W,
}

impl<W: FnMut(Event)> Tally<W> {
    pub(super) fn new(layouts: &Layouts, total: u64, watch: W) -> Self {
        let tables = layouts.iter().map(|layout| (layout.name, Default::default())).collect();
        let mut tally =
            Self { report: Report { tables }, without_zone: BTreeMap::new(), done: 0, total, watch };
        for layout in layouts.iter() {
            for column in layout.missing() {
                tally.tell(Reported {
                    table: layout.name,
                    key: None,
                    column: Some(column.to_owned()),
                    problem: "the table has no such column".to_owned(),
                    done: "left empty in every row".to_owned(),
                    left_out: false,
                });
            }
        }
        tally
    }

    pub(super) fn tell(&mut self, reported: Reported) {
        (self.watch)(Event::Reported(reported));
    }

    pub(super) fn tell_all(&mut self, reported: impl IntoIterator<Item = Reported>) {
        for reported in reported {
            self.tell(reported);
        }
    }

    pub(super) fn zones(&mut self, table: &'static str, columns: &[&'static str]) {
        for column in columns {
            *self.without_zone.entry((table, column)).or_default() += 1;
        }
    }

    pub(super) fn count(&mut self, table: &'static str, rows: Rows) {
        let counted = self.report.tables.entry(table).or_default();
        counted.added += rows.added;
        counted.unchanged += rows.unchanged;
        counted.left_out += rows.left_out;
        let read = rows.added + rows.unchanged + rows.left_out;
        counted.read += read;
        self.done += read;
    }

    pub(super) fn leave_out(&mut self, reported: Reported) {
        self.count(reported.table, Rows { left_out: 1, ..Rows::default() });
        self.tell(reported);
    }

    pub(super) fn progress(&mut self) {
        (self.watch)(Event::Progress { done: self.done, total: self.total });
    }

    /// Says what was true of many rows.
    pub(super) fn finish(mut self) -> Report {
        for ((table, column), rows) in std::mem::take(&mut self.without_zone) {
            if self.report.tables.get(table).is_none_or(|counted| counted.added == 0) {
                continue;
            }
            self.tell(Reported {
                table,
                key: None,
                column: Some(column.to_owned()),
                problem: format!("the times of {rows} rows have no zone"),
                done: "taken as UTC".to_owned(),
                left_out: false,
            });
        }
        self.report
    }
}
