//! What the engine needs of a database driver.

use std::pin::Pin;
use std::time::Duration;

use crate::dialect::Dialect;
use crate::error::DatabaseError;

/// The answer of a database, as a future.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DatabaseError>> + Send + 'a>>;

/// A row, every column of it as text.
pub type TextRow = Vec<Option<String>>;

/// One connection with no transaction open, which nothing else uses in the meantime.
///
/// On SQLite every future must be ready at once, because the engine runs on the thread of the database.
pub trait Connection: Send {
    /// Which SQL it understands.
    fn dialect(&self) -> Dialect;

    /// Microseconds since 1970, by the clock of the application.
    fn now(&self) -> i64;

    /// Runs any number of statements without parameters.
    fn execute<'a>(&'a mut self, sql: &'a str) -> Answer<'a, ()>;

    /// Runs one statement; its rows.
    fn query<'a>(&'a mut self, sql: &'a str) -> Answer<'a, Vec<TextRow>>;

    /// Whether all of it runs in one session of the database, so that a lock lasts. Behind a pooler it may not.
    fn is_one_session(&self) -> bool {
        true
    }

    /// Waits, so that another process can finish.
    fn pause(&mut self, duration: Duration) -> Answer<'_, ()>;
}
