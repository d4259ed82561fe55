//! Statements on one connection.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use deadpool_postgres::Client;
use futures_util::future::join;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{RowStream, Statement};

use super::connections::Connections;
use super::copy::{COPY_ROWS, copy, copy_of};
use super::error::{store_error, write_error};
use super::sqlstate::{Meaning, meaning};
use super::wal::Noted;
use super::{deadlines, wal};
use crate::context::Context;
use crate::db::sql::Effect;
use crate::db::{Row, Sql, Value};
use crate::error::{Cause, StoreError};
use crate::measures::Measures;
use crate::standby_reads::WalPosition;

/// Changes of one batch that are under way at once.
const PIPELINE: usize = 64;

/// What statements are sent to.
pub(super) enum Handle<'c> {
    Transaction(&'c deadpool_postgres::Transaction<'c>),
    /// Outside a transaction; whether a statement that changes something was sent.
    Single {
        client: &'c Client,
        changed: bool,
        /// Where it is said where the change is in the write-ahead log.
        noted: Noted<'c>,
    },
}

/// How much the statements on a connection may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The rows of ordinary pages.
    Little,
    /// More was wanted: everything has to run again where it may.
    Interrupted,
    Much,
}

/// Runs statements on one connection.
///
/// A statement is prepared once on a connection. One that is planned anew, and every one where a pooler changes the session
/// behind the connection, is parsed anew each time, in one message with its values. Names are those of this process alone in both cases.
pub(crate) struct PostgresExecutor<'c> {
    handle: Handle<'c>,
    connections: &'c Connections,
    context: &'c Context,
    reading: Reading,
}

impl<'c> PostgresExecutor<'c> {
    pub(super) const fn new(handle: Handle<'c>, connections: &'c Connections, context: &'c Context) -> Self {
        Self { handle, connections, context, reading: Reading::Much }
    }

    /// The executor with a bound of what it reads.
    pub(super) const fn reading(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }

    pub(crate) const fn measures(&self) -> &'c Measures {
        &self.context.measures
    }

    /// To be called before a statement that reads much.
    ///
    /// # Errors
    /// When the connection is not one for much; that it has to be is noted.
    pub(crate) fn begin_large(&mut self) -> Result<(), StoreError> {
        if self.reading == Reading::Much {
            return Ok(());
        }
        self.reading = Reading::Interrupted;
        Err(StoreError::Overloaded("this connection is for small reads"))
    }

    /// Whether everything has to run again where it may read much.
    pub(crate) fn is_to_read_much(&self) -> bool {
        self.reading == Reading::Interrupted
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
        // Inside a transaction a lost connection undoes the change; outside, it is unknown.
        let is_final = effect == Effect::Changes && matches!(self.handle, Handle::Single { .. });
        let failed = |error: tokio_postgres::Error| match is_final {
            true => write_error(&error, sql.name()),
            false => store_error(&error, sql.name()),
        };
        let rows = match self.send(sql, values).await? {
            // Such a statement was refused before it did anything; a transaction, however, has failed with it.
            Err(error) if self.is_to_be_prepared_again(&error) => self.send(sql, values).await?,
            sent => sent,
        };
        let mut rows = pin!(rows.map_err(failed)?);
        while let Some(row) = self.answered(sql, rows.try_next()).await?.map_err(failed)? {
            read(&Row::postgres(sql.name(), &row))?;
        }
        let affected = rows.rows_affected().unwrap_or(0);
        if effect == Effect::Changes {
            self.note_position().await;
        }
        Ok(affected)
    }

    /// Says where a change outside a transaction is in the write-ahead log, if that is wanted and was not said with it.
    async fn note_position(&self) {
        let Handle::Single { client, noted: Some(noted), .. } = &self.handle else { return };
        if is_unknown(noted) {
            let inserted = wal::inserted(client, self.connections.keeps_statements());
            let position = self.connections.answered(Box::pin(inserted)).await;
            noted.store(wal::known(position).bytes(), Ordering::Relaxed);
        }
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
        let failed = |error: &tokio_postgres::Error| {
            self.note(error);
            store_error(error, sql.name())
        };
        let statement = if self.connections.keeps_statements() {
            Some(transaction.prepare_cached(sql.postgres()).await.map_err(|error| failed(&error))?)
        } else {
            None
        };
        let mut changes = Vec::with_capacity(rows.len());
        for values in rows {
            changes.push(change(transaction, statement.as_ref(), sql, self.context, values));
        }
        let mut answers = stream::iter(changes).buffered(PIPELINE);
        while let Some(answer) = self.answered(sql, answers.next()).await? {
            answer.map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// Inserts rows. Many are copied, where statements are kept and the insert is one of parameters alone.
    pub(crate) async fn insert_many(
        &mut self,
        sql: &Sql,
        rows: Vec<Vec<Value<'_>>>,
    ) -> Result<(), StoreError> {
        let copied = copy_of(sql.postgres()).filter(|_| rows.len() >= COPY_ROWS);
        let (Handle::Transaction(transaction), Some(text)) = (&self.handle, copied) else {
            return self.execute_each(sql, rows).await;
        };
        if !self.connections.keeps_statements() {
            return self.execute_each(sql, rows).await;
        }
        self.context.count_statement();
        let copied = self.answered(sql, copy(transaction, sql.postgres(), &text, rows)).await?;
        copied.map_err(|error| {
            self.note(&error);
            store_error(&error, sql.name())
        })
    }

    /// Sends a statement. The outer error is that there was no answer.
    async fn send(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
    ) -> Result<Result<RowStream, tokio_postgres::Error>, StoreError> {
        self.context.count_statement();
        if sql.is_planned_anew() || !self.connections.keeps_statements() {
            let values = typed(values);
            let sent = match &self.handle {
                Handle::Transaction(transaction) => {
                    self.answered(sql, transaction.query_typed_raw(sql.postgres(), values)).await?
                }
                Handle::Single { client, .. } => {
                    self.answered(sql, client.query_typed_raw(sql.postgres(), values)).await?
                }
            };
            return Ok(sent);
        }
        let prepared = match &self.handle {
            Handle::Transaction(transaction) => {
                self.answered(sql, transaction.prepare_cached(sql.postgres())).await?
            }
            Handle::Single { client, .. } => {
                self.answered(sql, client.prepare_cached(sql.postgres())).await?
            }
        };
        let statement = match prepared {
            Ok(statement) => statement,
            Err(error) => return Ok(Err(error)),
        };
        let values = values.iter().map(|value| value as &(dyn ToSql + Sync));
        match &self.handle {
            Handle::Transaction(transaction) => {
                self.answered(sql, transaction.query_raw(&statement, values)).await
            }
            Handle::Single { client, noted: Some(noted), .. } if is_unknown(noted) => {
                // Behind the change on the same connection, without a wait in between.
                let sent = Box::pin(join(client.query_raw(&statement, values), wal::inserted(client, true)));
                let (rows, position) = self.answered(sql, sent).await?;
                noted.store(wal::known(Some(position)).bytes(), Ordering::Relaxed);
                Ok(rows)
            }
            Handle::Single { client, .. } => self.answered(sql, client.query_raw(&statement, values)).await,
        }
    }

    /// Waits for an answer. Its absence may mean that a change happened, unless a transaction undoes it.
    async fn answered<T>(&self, sql: &Sql, answer: impl Future<Output = T>) -> Result<T, StoreError> {
        match self.connections.answered(answer).await {
            Some(answer) => Ok(answer),
            None => {
                let cause = Cause::new(format!("{}: no answer within {:?}", sql.name(), deadlines::ANSWER));
                match self.handle {
                    Handle::Single { changed: true, .. } => Err(StoreError::OutcomeUnknown(cause)),
                    _ => Err(StoreError::Timeout(cause)),
                }
            }
        }
    }

    /// Whether the statement can be sent again because only its preparation was outdated.
    fn is_to_be_prepared_again(&self, error: &tokio_postgres::Error) -> bool {
        self.note(error) && matches!(self.handle, Handle::Single { .. })
    }

    /// Draws the consequences of a prepared statement that the server refused; whether this was one.
    fn note(&self, error: &tokio_postgres::Error) -> bool {
        let is_not_prepared =
            error.as_db_error().is_some_and(|server| meaning(server) == Meaning::NotPrepared);
        if is_not_prepared {
            self.connections.prepare_again(error);
        }
        is_not_prepared
    }

    /// Outside a transaction a second change could not be undone with the first.
    fn may_change(&mut self) -> Result<(), StoreError> {
        match &mut self.handle {
            Handle::Transaction(_) => Ok(()),
            Handle::Single { changed: changed @ false, noted, .. } => {
                *changed = true;
                if let Some(noted) = noted {
                    noted.store(WalPosition::UNKNOWN.bytes(), Ordering::Relaxed);
                }
                Ok(())
            }
            Handle::Single { .. } => Err(StoreError::backend("a single write changed something twice")),
        }
    }
}

/// Whether something was changed, and it is not known where it is.
fn is_unknown(noted: &AtomicU64) -> bool {
    noted.load(Ordering::Relaxed) == WalPosition::UNKNOWN.bytes()
}

/// Values with the types as which the server takes them; it finds out that of a null itself.
fn typed<'v>(values: &'v [Value<'_>]) -> impl ExactSizeIterator<Item = (&'v (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (value as &(dyn ToSql + Sync), value.postgres_type()))
}

/// One of several changes under way at once. No closure: a future that holds one could not move
/// between threads.
async fn change(
    transaction: &deadpool_postgres::Transaction<'_>,
    statement: Option<&Statement>,
    sql: &Sql,
    context: &Context,
    values: Vec<Value<'_>>,
) -> Result<u64, tokio_postgres::Error> {
    context.count_statement();
    match statement {
        Some(statement) => {
            let values = values.iter().map(|value| value as &(dyn ToSql + Sync));
            transaction.execute_raw(statement, values).await
        }
        None => {
            let values: Vec<_> = typed(&values).collect();
            transaction.execute_typed(sql.postgres(), &values).await
        }
    }
}
