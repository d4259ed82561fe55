//! A row ready to be read field by field.

use chatstore_sql::ExternalValue;

use super::columns::{Table, layout};
use super::record::Record;
use crate::source::row::{Layout, Row};

/// A row as a table of one row.
pub(super) struct Prepared {
    layout: Layout,
    values: Vec<ExternalValue>,
    key: String,
    marked: Vec<(String, &'static str, &'static str)>,
}

impl Prepared {
    pub(super) fn new(table: Table, key: String, record: &Record) -> Self {
        let (layout, values) = (layout(table, record), record.values());
        Self { layout, values, key, marked: record.marked() }
    }

    /// The row; without an id it is identified by its key in its table, which is kept aside.
    pub(super) fn row(&self) -> Row<'_> {
        let mut row = Row::new(&self.layout, &self.values, "id");
        if row.is_null("id") {
            row.key.clone_from(&self.key);
        }
        row.source.insert("row".to_owned(), self.key.as_str().into());
        for (column, problem, done) in &self.marked {
            row.report(Some(column), *problem, *done);
        }
        row
    }
}
