//! Functions that a revision runs after its SQL, in its transaction.

use std::pin::Pin;

use crate::connection::{Connection, TextRow};
use crate::dialect::Dialect;
use crate::error::{DatabaseError, MigrationError};
use crate::event::{MigrationEvent, Observe};
use crate::revision::Revision;

/// The outcome of a data step, as a future.
pub type StepAnswer<'a> = Pin<Box<dyn Future<Output = Result<(), DatabaseError>> + Send + 'a>>;

/// A function that a `revision.toml` may name. It may await nothing but the connection.
pub type DataStep = for<'a> fn(&'a mut StepConnection<'_>) -> StepAnswer<'a>;

/// The functions that revisions may name.
pub type DataSteps = &'static [(&'static str, DataStep)];

/// The connection as a data step sees it: inside the revision's transaction.
pub struct StepConnection<'c> {
    pub(crate) connection: &'c mut dyn Connection,
    pub(crate) revision: &'c Revision,
    pub(crate) observe: Observe<'c>,
}

impl std::fmt::Debug for StepConnection<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StepConnection").field("revision", &self.revision.id).finish_non_exhaustive()
    }
}

impl StepConnection<'_> {
    /// Which SQL is understood.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.connection.dialect()
    }

    /// Runs any number of statements.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn execute(&mut self, sql: &str) -> Result<(), DatabaseError> {
        self.connection.execute(sql).await
    }

    /// Runs one statement; its rows.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<TextRow>, DatabaseError> {
        self.connection.query(sql).await
    }

    /// Reports a sentence to those who migrate.
    pub fn note(&mut self, text: &str) {
        (self.observe)(&MigrationEvent::Note { revision: self.revision, text });
    }

    /// Repeats a statement that changes some rows and returns one row for each, until it changes none.
    /// Reports the number of rows so far after each time, and returns the total.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn batches(&mut self, sql: &str) -> Result<u64, DatabaseError> {
        let mut rows = 0;
        loop {
            let changed = self.connection.query(sql).await?.len() as u64;
            if changed == 0 {
                return Ok(rows);
            }
            rows += changed;
            self.report(rows);
        }
    }

    /// Reports how many rows were changed so far.
    pub fn report(&mut self, rows: u64) {
        (self.observe)(&MigrationEvent::Rows { revision: self.revision, rows });
    }
}

/// The function of this name.
pub(crate) fn find(steps: DataSteps, revision: &Revision) -> Result<Option<DataStep>, MigrationError> {
    let Some(name) = &revision.data_step else { return Ok(None) };
    let found = steps.iter().find(|(known, _)| known == name).map(|(_, step)| *step);
    found
        .map(Some)
        .ok_or_else(|| MigrationError::UnknownDataStep { revision: revision.to_string(), step: name.clone() })
}
