//! What a database reports about itself, in its own words.
//!
//! Only the reports of the same kind of database can be compared: PostgreSQL rewrites conditions, and SQLite
//! does not distinguish a time from a number.

mod postgres;
mod rows;
mod sqlite;

use crate::catalog::Catalog;
use crate::connection::Connection;
use crate::dialect::Dialect;
use crate::error::MigrationError;

pub(crate) use postgres::index_is_complete;

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
