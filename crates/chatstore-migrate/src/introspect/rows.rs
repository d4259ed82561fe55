//! How the rows of both catalogs are read.

use crate::catalog::Object;
use crate::connection::{Connection, TextRow};
use crate::error::MigrationError;
use crate::history::TABLES;

pub(super) async fn query(
    connection: &mut dyn Connection,
    sql: &str,
) -> Result<Vec<TextRow>, MigrationError> {
    let rows = connection.query(sql).await;
    rows.map_err(|error| MigrationError::database("reading the catalog", error))
}

/// The columns of a row, with an empty text for null.
pub(super) fn texts<const COLUMNS: usize>(row: TextRow) -> [String; COLUMNS] {
    let mut columns = row.into_iter().map(Option::unwrap_or_default);
    std::array::from_fn(|_| columns.next().unwrap_or_default())
}

pub(super) fn is_of_the_history(table: &str) -> bool {
    TABLES.contains(&table)
}

pub(super) fn object(kind: &str, table: &str, name: &str) -> Object {
    Object { table: table.to_owned(), kind: kind.to_owned(), name: name.to_owned() }
}
