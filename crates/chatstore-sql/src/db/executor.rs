//! Runs statements on whichever database a transaction is on.

use std::ops::ControlFlow;

use crate::db::sql::Effect;
use crate::db::{PageBounds, PageRows, Row, Sql, Value};
use crate::error::{Cause, StoreError};
use crate::measures::{Ended, Measures, RunningStatement};

/// One connection, for as long as a read or a transaction lasts.
///
/// `execute` and `query_changed` are for statements that change something, the others for those
/// that do not.
pub(crate) struct Executor<'c> {
    driver: Driver<'c>,
    failed: Option<StoreError>,
}

enum Driver<'c> {
    #[cfg(feature = "sqlite")]
    Sqlite(crate::db::sqlite::SqliteExecutor<'c>),
    #[cfg(feature = "postgres")]
    Postgres(crate::db::postgres::PostgresExecutor<'c>),
}

impl<'c> Driver<'c> {
    const fn measures(&self) -> &'c Measures {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(executor) => executor.measures(),
            #[cfg(feature = "postgres")]
            Self::Postgres(executor) => executor.measures(),
        }
    }

    /// Whether what runs here had to give way, and runs again elsewhere.
    fn is_interrupted(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(executor) => executor.is_interrupted(),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => false,
        }
    }
}

/// A statement under way.
struct Started<'c> {
    failed_before: Option<StoreError>,
    running: RunningStatement<'c>,
}

#[cfg(feature = "sqlite")]
impl<'c> From<crate::db::sqlite::SqliteExecutor<'c>> for Executor<'c> {
    fn from(executor: crate::db::sqlite::SqliteExecutor<'c>) -> Self {
        Self { driver: Driver::Sqlite(executor), failed: None }
    }
}

#[cfg(feature = "postgres")]
impl<'c> From<crate::db::postgres::PostgresExecutor<'c>> for Executor<'c> {
    fn from(executor: crate::db::postgres::PostgresExecutor<'c>) -> Self {
        Self { driver: Driver::Postgres(executor), failed: None }
    }
}

impl<'c> Executor<'c> {
    /// The first error of a statement. PostgreSQL gives up a transaction with it and yet answers its
    /// commit as if all were well.
    pub(crate) fn into_failed(self) -> Option<StoreError> {
        self.failed
    }

    /// Records a conflict with another transaction that was seen in what statements answered, or in the
    /// error of the last one, which it replaces: the work runs again.
    pub(crate) fn conflict(&mut self, reason: &'static str) -> StoreError {
        let conflict = StoreError::Conflict(Cause::new(reason));
        self.failed = Some(conflict.clone());
        conflict
    }

    /// To be called before each statement: should its future be dropped, it is unknown what became of
    /// it, and the transaction has failed.
    fn start(&mut self, sql: &Sql, runs: usize) -> Started<'c> {
        let abandoned = StoreError::InvalidState("a statement was abandoned before it was answered");
        let failed_before = self.failed.replace(abandoned);
        Started { failed_before, running: self.driver.measures().begin(sql.name(), runs) }
    }

    /// To be called after each statement with what [`start`](Self::start) returned, and how many rows it read or changed.
    fn note<T>(
        &mut self,
        started: Started<'c>,
        rows: u64,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        started.running.end(rows, self.ended(result.as_ref().err()));
        self.failed = started.failed_before.or_else(|| result.as_ref().err().cloned());
        result
    }

    fn ended(&self, error: Option<&StoreError>) -> Ended {
        match error {
            Some(StoreError::Timeout(_)) if self.driver.is_interrupted() => Ended::Interrupted,
            Some(StoreError::Timeout(_)) => Ended::TimedOut,
            Some(
                StoreError::Unavailable(_)
                | StoreError::OutcomeUnknown(_)
                | StoreError::StorageFull(_)
                | StoreError::ReadOnly(_)
                | StoreError::Corrupt(_)
                | StoreError::Backend(_),
            ) => Ended::Failed,
            _ => Ended::Done,
        }
    }

    /// Runs a statement and hands its rows to `read`, one at a time; the number of rows changed.
    async fn run(
        &mut self,
        effect: Effect,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let (started, mut rows) = (self.start(sql, 1), 0);
        let read = |row: &Row<'_>| {
            rows += 1;
            read(row)
        };
        let result = match &mut self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(executor) => executor.run(sql, values, read),
            #[cfg(feature = "postgres")]
            Driver::Postgres(executor) => executor.run(effect, sql, values, read).await,
        };
        if effect == Effect::Changes {
            rows = result.as_ref().copied().unwrap_or_default();
        }
        self.note(started, rows, result)
    }

    /// Changes rows; the number of rows changed.
    pub(crate) async fn execute(&mut self, sql: &Sql, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.run(Effect::Changes, sql, values, |_| Ok(())).await
    }

    /// Changes rows once for every list of values; on PostgreSQL without waiting for one answer
    /// before the next is sent. Stops at the first error.
    pub(crate) async fn execute_each(
        &mut self,
        sql: &Sql,
        rows: Vec<Vec<Value<'_>>>,
    ) -> Result<(), StoreError> {
        let count = rows.len();
        let started = self.start(sql, count);
        let result = match &mut self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(executor) => executor.execute_each(sql, &rows),
            #[cfg(feature = "postgres")]
            Driver::Postgres(executor) => executor.execute_each(sql, rows).await,
        };
        self.note(started, count as u64, result)
    }

    /// Inserts rows, by the fastest way that the database has for as many. None of them, or all.
    pub(crate) async fn insert_many(
        &mut self,
        sql: &Sql,
        rows: Vec<Vec<Value<'_>>>,
    ) -> Result<(), StoreError> {
        let count = rows.len();
        let started = self.start(sql, count);
        let result = match &mut self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(executor) => executor.execute_each(sql, &rows),
            #[cfg(feature = "postgres")]
            Driver::Postgres(executor) => executor.insert_many(sql, rows).await,
        };
        self.note(started, count as u64, result)
    }

    /// Changes rows and hands each to `read`.
    pub(crate) async fn change_each(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.run(Effect::Changes, sql, values, read).await.map(drop)
    }

    /// Changes rows and reads at most one of them.
    pub(crate) async fn query_changed<T>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.first(Effect::Changes, sql, values, read).await
    }

    /// Hands every row to `read`, one at a time.
    pub(crate) async fn query_each(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.run(Effect::Reads, sql, values, read).await.map(drop)
    }

    /// Hands rows to `read`, one at a time, until that has enough.
    pub(crate) async fn query_until(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let (started, mut rows) = (self.start(sql, 1), 0);
        let mut read = |row: &Row<'_>| {
            rows += 1;
            read(row)
        };
        let result = match &mut self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(executor) => executor.run_until(sql, values, read).map(drop),
            #[cfg(feature = "postgres")]
            Driver::Postgres(executor) => {
                // What is left was sent already; passing over it leaves the connection ready for the next.
                let mut is_enough = false;
                let read_more = |row: &Row<'_>| {
                    if !is_enough {
                        is_enough = read(row)?.is_break();
                    }
                    Ok(())
                };
                executor.run(Effect::Reads, sql, values, read_more).await.map(drop)
            }
        };
        self.note(started, rows, result)
    }

    /// Every row.
    pub(crate) async fn query<T>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        self.query_each(sql, values, |row| {
            rows.push(read(row)?);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// The rows of a page, of a statement that asks for [`with_lookahead`](chatstore_model::Limit::with_lookahead) of them. The page ends with the
    /// row that reaches [`PAGE_BYTES`](chatstore_model::PAGE_BYTES); SQLite reads none behind it.
    pub(crate) async fn query_page<T>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        bounds: impl Into<PageBounds>,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<PageRows<T>, StoreError> {
        let mut page = PageRows::new(bounds.into());
        let (started, mut rows) = (self.start(sql, 1), 0);
        let mut read = |row: &Row<'_>| {
            rows += 1;
            read(row)
        };
        let result = match &mut self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(executor) => {
                executor.run_until(sql, values, |row| page.push(row, &mut read)).map(drop)
            }
            #[cfg(feature = "postgres")]
            Driver::Postgres(executor) => {
                // What is left out was sent already; passing over it leaves the connection ready for the next.
                let read = |row: &Row<'_>| page.push(row, &mut read).map(drop);
                executor.run(Effect::Reads, sql, values, read).await.map(drop)
            }
        };
        self.note(started, rows, result)?;
        Ok(page)
    }

    /// The first row, when there is one.
    pub(crate) async fn query_first<T>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.first(Effect::Reads, sql, values, read).await
    }

    async fn first<T>(
        &mut self,
        effect: Effect,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut first = None;
        let read_first = |row: &Row<'_>| {
            if first.is_none() {
                first = Some(read(row)?);
            }
            Ok(())
        };
        self.run(effect, sql, values, read_first).await?;
        Ok(first)
    }

    /// The only row of a statement that always has one.
    pub(crate) async fn query_one<T>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let row = self.query_first(sql, values, read).await?;
        row.ok_or_else(|| StoreError::Corrupt(format!("{}: no row", sql.name())))
    }

    /// To be called before a statement that reads much. On PostgreSQL few of them run at a time.
    ///
    /// # Errors
    /// When this is not one of them: the work is then run again, as one.
    #[cfg_attr(not(feature = "postgres"), expect(clippy::unused_self, reason = "SQLite notices by itself"))]
    pub(crate) fn begin_large(&mut self) -> Result<(), StoreError> {
        match &mut self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Driver::Postgres(executor) => executor.begin_large(),
        }
    }

    /// Whether the work has to run again where it may read much.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_to_read_much(&self) -> bool {
        match &self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(_) => false,
            Driver::Postgres(executor) => executor.is_to_read_much(),
        }
    }

    /// Whether the database sends all rows of an answer, also those behind the end of a page: PostgreSQL does,
    /// SQLite is asked for each.
    pub(crate) const fn sends_every_row(&self) -> bool {
        match &self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Driver::Postgres(_) => true,
        }
    }

    /// Whether the single best statement per database differs in more than its text: PostgreSQL
    /// changes several tables in one statement, SQLite does not.
    pub(crate) const fn supports_writable_ctes(&self) -> bool {
        match &self.driver {
            #[cfg(feature = "sqlite")]
            Driver::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Driver::Postgres(_) => true,
        }
    }
}
