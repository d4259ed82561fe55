//! Transactions. Each repository adds its own accessor.

use std::marker::PhantomData;

use chatstore_model::Timestamp;
use uuid::Uuid;

use crate::context::Context;
use crate::db::{Executor, Row, Sql, Value};
use crate::error::StoreError;

/// Marks a transaction that only reads.
#[derive(Debug)]
pub struct ReadOnly(());

/// Marks a transaction that may change something.
#[derive(Debug)]
pub struct ReadWrite(());

/// A transaction in which nothing can be changed: the repositories it lends have no method that would.
pub type ReadTx<'c> = Tx<'c, ReadOnly>;

/// A transaction. It commits when the closure it was given to returns `Ok`, and rolls back otherwise.
pub type WriteTx<'c> = Tx<'c, ReadWrite>;

/// A transaction of either kind.
pub struct Tx<'c, M> {
    pub(crate) executor: Executor<'c>,
    context: &'c Context,
    /// The revision of the conversation whose messages were read or changed last.
    revision: Option<i64>,
    /// The head of the conversation whose messages were listed last, if it branched.
    head_seq: Option<i64>,
    mode: PhantomData<fn() -> M>,
}

/// How a transaction ends.
pub(crate) struct Finished<T, E> {
    /// What the work returned, or the error of a statement that it passed over. Only an `Ok` is committed.
    pub(crate) result: Result<T, E>,
    /// The error of the first statement that failed, or a conflict. It decides whether the work runs again:
    /// the error that the work returns may be of any type.
    pub(crate) failure: Option<StoreError>,
}

impl<T, E: From<StoreError>> Finished<T, E> {
    #[cfg(feature = "postgres")]
    pub(crate) fn failed(error: StoreError) -> Self {
        Self { result: Err(error.clone().into()), failure: Some(error) }
    }
}

impl<M> std::fmt::Debug for Tx<'_, M> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tx").finish_non_exhaustive()
    }
}

impl<'c, M> Tx<'c, M> {
    pub(crate) const fn new(executor: Executor<'c>, context: &'c Context) -> Self {
        Self { executor, context, revision: None, head_seq: None, mode: PhantomData }
    }

    /// How the transaction ends, by what its work returned and by what the database reported meanwhile.
    pub(crate) fn finish<T, E: From<StoreError>>(self, result: Result<T, E>) -> Finished<T, E> {
        let failure = self.executor.into_failed();
        let result = match (result, &failure) {
            (Ok(_), Some(error)) => Err(error.clone().into()),
            (result, _) => result,
        };
        Finished { result, failure }
    }

    /// Fails the transaction because of what another one did meanwhile, so that it runs again. The only way
    /// to a [`StoreError::Conflict`] beside the drivers.
    pub(crate) fn conflict(&mut self, reason: &'static str) -> StoreError {
        self.executor.conflict(reason)
    }

    /// The present instant by the store's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// The revision of the conversation that was last read or changed by its id, or whose messages were: at the moment of
    /// a read that found something, and after a change.
    #[must_use]
    pub const fn conversation_revision(&self) -> Option<i64> {
        self.revision
    }

    /// The number of the head of the conversation whose messages were listed last; `None` when it never branched, or has
    /// none of them.
    #[must_use]
    pub const fn listed_head(&self) -> Option<i64> {
        self.head_seq
    }

    pub(crate) const fn note_head(&mut self, head_seq: Option<i64>) {
        self.head_seq = head_seq;
    }

    pub(crate) const fn note_revision(&mut self, revision: i64) {
        self.revision = Some(revision);
    }

    pub(crate) fn default_model(&self) -> &'c str {
        &self.context.default_model
    }

    pub(crate) const fn rows_at_once(&self) -> i64 {
        self.context.rows_at_once
    }

    pub(crate) fn new_uuid(&self, at: Timestamp) -> Uuid {
        self.context.ids.uuid(at)
    }

    /// Runs a query of the application's own inside this transaction. Unstable: the schema may
    /// change in any release; `docs/sql-dialect.md` says what both databases understand.
    ///
    /// ```
    /// use chatstore_sql::{Database, DatabaseOptions, Sql, StoreError, Value};
    ///
    /// const CREATE: Sql = Sql::same("desk_create", "create table desk_tickets (id text primary key, state text)");
    /// const INSERT: Sql = Sql::same("desk_insert", "insert into desk_tickets (id, state) values ($1, $2)");
    /// const STATES: Sql = Sql::same("desk_states", "select state from desk_tickets where id = $1");
    ///
    /// # #[tokio::main(flavor = "multi_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = Database::open(DatabaseOptions::new("sqlite://:memory:")).await?;
    /// let states = database
    ///     .write("desk", async |tx| {
    ///         tx.execute(&CREATE, &[]).await?;
    ///         tx.execute(&INSERT, &[Value::Text("t1"), Value::Text("open")]).await?;
    ///         // Columns are read in the order in which the statement names them.
    ///         tx.query(&STATES, &[Value::Text("t1")], |row| row.next::<String>()).await
    ///     })
    ///     .await;
    /// let states: Vec<String> = states.map_err(|error: StoreError| error)?;
    /// assert_eq!(states, ["open"]);
    /// # database.close().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Whatever the database or `read` reports.
    pub async fn query<T>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.executor.query(sql, values, read).await
    }
}

impl WriteTx<'_> {
    /// Runs a change of the application's own inside this transaction, in tables of its own.
    /// Unstable like [`query`](Tx::query).
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn execute(&mut self, sql: &Sql, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.executor.execute(sql, values).await
    }
}
