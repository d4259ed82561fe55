//! Which column of a table means what.

use chatstore_sql::{ExternalTable, ExternalValue};

/// A table as it is, and which of its columns is which of those that its documents describe.
#[derive(Debug)]
pub(in crate::source) struct Layout {
    /// Its name in the documents.
    pub(in crate::source) name: &'static str,
    pub(in crate::source) table: ExternalTable,
    /// The described columns, and where each is.
    pub(in crate::source) fields: Vec<(&'static str, Option<usize>)>,
}

impl Layout {
    pub(in crate::source) fn columns(&self) -> Vec<&str> {
        self.table.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// Where a described column is.
    pub(in crate::source) fn place(&self, field: &str) -> Option<usize> {
        self.fields.iter().find(|(name, _)| *name == field).and_then(|(_, place)| *place)
    }

    /// What a described column is called in the table.
    pub(in crate::source) fn column(&self, field: &str) -> Option<&str> {
        self.place(field).map(|place| self.table.columns[place].name.as_str())
    }

    /// The described columns that the table does not have.
    pub(in crate::source) fn missing(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().filter(|(_, place)| place.is_none()).map(|(field, _)| *field)
    }

    /// The columns that are not described.
    pub(in crate::source) fn unknown(&self) -> impl Iterator<Item = usize> {
        (0..self.table.columns.len())
            .filter(|index| !self.fields.iter().any(|(_, place)| *place == Some(*index)))
    }

    pub(in crate::source) fn value<'r>(&self, row: &'r [ExternalValue], field: &str) -> &'r ExternalValue {
        self.place(field).and_then(|place| row.get(place)).unwrap_or(&ExternalValue::Null)
    }
}
