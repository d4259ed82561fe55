//! What a database says that it has, in its own words.
//!
//! Only what one kind of database says of two schemas can be compared: PostgreSQL respells
//! conditions, and SQLite does not tell a time from a number.

mod postgres;
mod sqlite;

use crate::catalog::{Catalog, Object};
use crate::connection::{Connection, Dialect, TextRow};
use crate::error::MigrationError;

impl Catalog {
    /// Reads the tables of the database, without those of the history; changes nothing. On
    /// PostgreSQL, those of the first schema of the search path.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn read(connection: &mut dyn Connection) -> Result<Self, MigrationError> {
        match connection.dialect() {
            Dialect::Sqlite => sqlite::read(connection).await,
            Dialect::Postgres => postgres::read(connection).await,
        }
    }
}

async fn query(connection: &mut dyn Connection, sql: &str) -> Result<Vec<TextRow>, MigrationError> {
    let rows = connection.query(sql).await;
    rows.map_err(|error| MigrationError::database("reading the catalog", error))
}

/// The columns of a row, with nothing for null.
fn texts<const COLUMNS: usize>(row: TextRow) -> [String; COLUMNS] {
    let mut columns = row.into_iter().map(Option::unwrap_or_default);
    std::array::from_fn(|_| columns.next().unwrap_or_default())
}

fn is_of_the_history(table: &str) -> bool {
    crate::history::TABLES.contains(&table)
}

fn object(kind: &str, table: &str, name: &str) -> Object {
    Object { table: table.to_owned(), kind: kind.to_owned(), name: name.to_owned() }
}
