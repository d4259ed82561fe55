//! What the engine asks of a database.

use std::pin::Pin;
use std::time::Duration;

use crate::dialect::Dialect;
use crate::error::DatabaseError;

/// What a database answers some time later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DatabaseError>> + Send + 'a>>;

/// A row, every column of it as text.
pub type TextRow = Vec<Option<String>>;

/// One connection that nobody else uses meanwhile, with no transaction open.
///
/// On SQLite every answer must be there at once, because the engine is run where SQLite is.
pub trait Connection: Send {
    /// Which SQL it understands.
    fn dialect(&self) -> Dialect;

    /// Microseconds since 1970, by the clock of the application.
    fn now(&self) -> i64;

    /// Runs any number of statements without parameters.
    fn execute<'a>(&'a mut self, sql: &'a str) -> Answer<'a, ()>;

    /// Runs one statement; its rows.
    fn query<'a>(&'a mut self, sql: &'a str) -> Answer<'a, Vec<TextRow>>;

    /// Waits, for another process.
    fn pause(&mut self, duration: Duration) -> Answer<'_, ()>;
}
