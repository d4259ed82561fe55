//! Statements on one connection.

use std::pin::pin;

use deadpool_postgres::Client;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_postgres::types::ToSql;
use tokio_postgres::{RowStream, Statement};

use super::error::{store_error, write_error};
use crate::context::Context;
use crate::db::sql::Effect;
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;

/// Changes of one batch that are under way at once.
const PIPELINE: usize = 64;

/// What statements are sent to.
pub(super) enum Handle<'c> {
    Transaction(&'c deadpool_postgres::Transaction<'c>),
    /// Outside a transaction; whether a statement that changes something was sent.
    Single {
        client: &'c Client,
        changed: bool,
    },
}

/// Runs statements on one connection.
pub(crate) struct PostgresExecutor<'c> {
    handle: Handle<'c>,
    context: &'c Context,
}

impl<'c> PostgresExecutor<'c> {
    pub(super) const fn new(handle: Handle<'c>, context: &'c Context) -> Self {
        Self { handle, context }
    }

    /// Runs a statement and hands its rows to `read`; the number of rows changed.
    pub(crate) async fn run(
        &mut self,
        effect: Effect,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        if effect == Effect::Changes {
            self.may_change()?;
        }
        let statement = self.prepare(sql).await?;
        // Inside a transaction a lost connection undoes the change; outside, it is unknown.
        let failed = match (effect, &self.handle) {
            (Effect::Changes, Handle::Single { .. }) => write_error,
            _ => store_error,
        };
        let failed = |error| failed(&error, sql.name());
        let mut rows = pin!(self.send(&statement, values).await.map_err(failed)?);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            read(&Row::postgres(sql.name(), &row))?;
        }
        Ok(rows.rows_affected().unwrap_or(0))
    }

    /// Sends the changes of all rows without waiting in between, in order.
    pub(crate) async fn execute_each(
        &mut self,
        sql: &Sql,
        rows: Vec<Vec<Value<'_>>>,
    ) -> Result<(), StoreError> {
        let Handle::Transaction(transaction) = self.handle else {
            return Err(StoreError::backend(format!("{}: several changes need a transaction", sql.name())));
        };
        let statement = self.prepare(sql).await?;
        let mut changes = Vec::with_capacity(rows.len());
        for values in rows {
            changes.push(change(transaction, &statement, self.context, values));
        }
        let mut answers = stream::iter(changes).buffered(PIPELINE);
        while let Some(answer) = answers.next().await {
            answer.map_err(|error| store_error(&error, sql.name()))?;
        }
        Ok(())
    }

    async fn prepare(&self, sql: &Sql) -> Result<Statement, StoreError> {
        let prepared = match &self.handle {
            Handle::Transaction(transaction) => transaction.prepare_cached(sql.postgres()).await,
            Handle::Single { client, .. } => client.prepare_cached(sql.postgres()).await,
        };
        prepared.map_err(|error| store_error(&error, sql.name()))
    }

    async fn send(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<RowStream, tokio_postgres::Error> {
        self.context.count_statement();
        let values = values.iter().map(|value| value as &(dyn ToSql + Sync));
        match &self.handle {
            Handle::Transaction(transaction) => transaction.query_raw(statement, values).await,
            Handle::Single { client, .. } => client.query_raw(statement, values).await,
        }
    }

    /// Outside a transaction a second change could not be undone with the first.
    fn may_change(&mut self) -> Result<(), StoreError> {
        match &mut self.handle {
            Handle::Transaction(_) => Ok(()),
            Handle::Single { changed: changed @ false, .. } => {
                *changed = true;
                Ok(())
            }
            Handle::Single { .. } => Err(StoreError::backend("a single write changed something twice")),
        }
    }
}

/// One of several changes under way at once. No closure: a future that holds one could not move
/// between threads.
async fn change(
    transaction: &deadpool_postgres::Transaction<'_>,
    statement: &Statement,
    context: &Context,
    values: Vec<Value<'_>>,
) -> Result<u64, tokio_postgres::Error> {
    context.count_statement();
    transaction.execute_raw(statement, values.iter().map(|value| value as &(dyn ToSql + Sync))).await
}
