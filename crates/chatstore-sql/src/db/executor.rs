//! Runs statements on whichever database a transaction is on.

use crate::db::{Row, Sql, Value};
use crate::error::StoreError;

/// One connection, for as long as a read or a transaction lasts.
///
/// `execute` and `query_changed` are for statements that change something, the others for those
/// that do not.
pub(crate) enum Executor<'c> {
    #[cfg(feature = "sqlite")]
    Sqlite(crate::db::sqlite::SqliteExecutor<'c>),
    #[cfg(feature = "postgres")]
    Postgres(crate::db::postgres::PostgresExecutor<'c>),
}

impl Executor<'_> {
    /// Changes rows; the number of rows changed.
    pub(crate) async fn execute(&mut self, sql: &Sql, values: &[Value<'_>]) -> Result<u64, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(executor) => executor.execute(sql, values),
            #[cfg(feature = "postgres")]
            Self::Postgres(executor) => executor.execute(sql, values).await,
        }
    }

    /// Changes rows once for every item; on PostgreSQL without waiting for one answer before the
    /// next is sent. Stops at the first error.
    pub(crate) async fn execute_each<'v>(
        &mut self,
        sql: &Sql,
        items: impl Iterator<Item = Vec<Value<'v>>>,
    ) -> Result<(), StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(executor) => {
                for values in items {
                    executor.execute(sql, &values)?;
                }
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(executor) => executor.execute_each(sql, items).await,
        }
    }

    /// Changes rows and reads at most one of them.
    pub(crate) async fn query_changed<T>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(executor) => executor.query_changed(sql, values, read),
            #[cfg(feature = "postgres")]
            Self::Postgres(executor) => executor.query_changed(sql, values, read).await,
        }
    }

    /// Hands every row to `read`, one at a time.
    pub(crate) async fn query_each(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(executor) => executor.query_each(sql, values, read),
            #[cfg(feature = "postgres")]
            Self::Postgres(executor) => executor.query_each(sql, values, read).await,
        }
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

    /// The first row, when there is one.
    pub(crate) async fn query_first<T>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut first = None;
        self.query_each(sql, values, |row| {
            if first.is_none() {
                first = Some(read(row)?);
            }
            Ok(())
        })
        .await?;
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

    /// Runs statements without parameters, of a migration.
    pub(crate) async fn batch(&mut self, text: &str) -> Result<(), StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(executor) => executor.batch(text),
            #[cfg(feature = "postgres")]
            Self::Postgres(executor) => executor.batch(text).await,
        }
    }

    /// Whether the single best statement per database differs in more than its text: PostgreSQL
    /// changes several tables in one statement, SQLite does not.
    pub(crate) const fn combines_changes(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
        }
    }
}
