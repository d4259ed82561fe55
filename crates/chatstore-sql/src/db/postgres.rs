//! PostgreSQL: a pool of connections with prepared statements.

use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Client, ClientWrapper, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, RowStream, Statement};

use crate::context::Context;
use crate::db::tls::{TlsMode, TlsSettings};
use crate::db::{Row, Sql, Value};
use crate::error::{Cause, ConnectError, StoreError, refused, taken_constraint};
use crate::schema::entity_of_table;
use crate::tx::{Finished, ReadOnly, Tx, WriteTx};

/// How long a caller waits for a connection, a connection for the server, and a dead peer is given.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements and idle transactions longer than this are ended by the server; milliseconds.
const SESSION_SETTINGS: &str = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=30000 -c timezone=UTC \
     -c default_transaction_isolation=read\\ committed";

/// How often a transaction is run again after a conflict.
const ATTEMPTS: u32 = 8;

/// Changes of one batch that are under way at once.
const PIPELINE: usize = 64;

/// One PostgreSQL database.
pub(crate) struct PostgresDatabase {
    context: Arc<Context>,
    pool: Pool,
}

impl PostgresDatabase {
    /// Creates the pool and its first connection, so that a wrong address or password is noticed now.
    pub(crate) async fn connect(
        mut config: tokio_postgres::Config,
        tls: &TlsSettings,
        place: String,
        pool_size: usize,
        context: Arc<Context>,
    ) -> Result<Self, ConnectError> {
        config.application_name("chatstore");
        let options = config.get_options().map(|options| format!("{options} {SESSION_SETTINGS}"));
        config.options(options.as_deref().unwrap_or(SESSION_SETTINGS));
        config.connect_timeout(ACQUIRE_TIMEOUT);
        config.tcp_user_timeout(ACQUIRE_TIMEOUT);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if tls.mode == TlsMode::Disable {
            Manager::from_config(config, NoTls, recycling)
        } else {
            let connector =
                tls.connector().map_err(|reason| ConnectError::Unusable { place: place.clone(), reason })?;
            Manager::from_config(config, connector, recycling)
        };
        let timeouts = Timeouts {
            wait: Some(ACQUIRE_TIMEOUT),
            create: Some(ACQUIRE_TIMEOUT),
            recycle: Some(ACQUIRE_TIMEOUT),
        };
        let pool =
            Pool::builder(manager).max_size(pool_size).timeouts(timeouts).runtime(Runtime::Tokio1).build();
        let pool = pool
            .map_err(|error| ConnectError::Unreachable { place: place.clone(), cause: Cause::new(error) })?;
        drop(pool.get().await.map_err(|error| connect_error(place, error))?);
        Ok(Self { context, pool })
    }

    pub(crate) async fn read<T, E, F>(&self, mut work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut Tx<'_, ReadOnly>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut idle_connections = self.pool.status().size;
        loop {
            let mut client = self.client().await?;
            let mut tx = self.autocommit(&client);
            let result = work(&mut tx).await;
            let is_lost = matches!(tx.executor.into_failed(), Some(StoreError::Unavailable(_)));
            client.is_idle = true;
            if idle_connections == 0 || result.is_ok() || !is_lost {
                return result;
            }
            // The server was restarted since this connection was last used, and since every other
            // idle one was; a read can be repeated.
            client.is_idle = false;
            drop(client);
            idle_connections -= 1;
        }
    }

    /// Runs `work` in a transaction, again after a conflict.
    pub(crate) async fn write<T, E, F>(&self, mut work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut attempt = 1;
        loop {
            let mut client = self.client().await?;
            let Finished { result, failure } = self.transaction(&mut client, &mut work).await;
            client.is_idle = true;
            if !is_to_be_repeated(failure.as_ref(), attempt) {
                return result;
            }
            drop(client);
            tokio::time::sleep(self.pause(attempt)).await;
            attempt += 1;
        }
    }

    async fn transaction<T, E, F>(&self, client: &mut Client, work: &mut F) -> Finished<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E>,
        E: From<StoreError>,
    {
        let transaction = match client.transaction().await {
            Ok(transaction) => transaction,
            Err(error) => return Finished::failed(store_error(&error, "begin")),
        };
        let executor = PostgresExecutor::new(Handle::Transaction(&transaction), &self.context);
        let mut tx = Tx::new(executor.into(), &self.context);
        let result = work(&mut tx).await;
        let finished = tx.finish(result);
        if finished.result.is_err() {
            if let Err(rollback) = transaction.rollback().await {
                tracing::debug!(error = %rollback, "rolling back failed; the connection is given up");
            }
            return finished;
        }
        match transaction.commit().await {
            Ok(()) => finished,
            Err(error) => Finished::failed(write_error(&error, "commit")),
        }
    }

    /// Runs `work`, which changes something in at most one statement, without a transaction around it.
    pub(crate) async fn write_single<T, E, F>(&self, mut work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut client = self.client().await?;
        let mut attempt = 1;
        loop {
            client.is_idle = false;
            let mut tx = self.autocommit(&client);
            let result = work(&mut tx).await;
            let Finished { result, failure } = tx.finish(result);
            client.is_idle = true;
            if !is_to_be_repeated(failure.as_ref(), attempt) {
                return result;
            }
            tokio::time::sleep(self.pause(attempt)).await;
            attempt += 1;
        }
    }

    fn autocommit<'c, M>(&'c self, client: &'c Client) -> Tx<'c, M> {
        let executor = PostgresExecutor::new(Handle::Single { client, changed: false }, &self.context);
        Tx::new(executor.into(), &self.context)
    }

    async fn client(&self) -> Result<Checkout, StoreError> {
        match self.pool.get().await {
            Ok(client) => Ok(Checkout { client: Some(client), is_idle: false }),
            Err(PoolError::Backend(error)) => match store_error(&error, "connect") {
                StoreError::Backend(cause) => Err(StoreError::Unavailable(cause)),
                known => Err(known),
            },
            Err(error) => Err(StoreError::Unavailable(Cause::new(error))),
        }
    }

    /// A connection that is never given back to the pool.
    pub(crate) async fn own_client(&self) -> Result<ClientWrapper, StoreError> {
        let mut checkout = self.client().await?;
        match checkout.client.take() {
            Some(client) => Ok(Client::take(client)),
            None => Err(StoreError::backend("a connection in use is there")),
        }
    }

    /// 1, 2, 4 … milliseconds, and up to as much again by chance, so that two do not meet for ever.
    fn pause(&self, attempt: u32) -> Duration {
        let mut chance = [0];
        self.context.ids.random(&mut chance);
        Duration::from_millis(1 << attempt.min(6)).mul_f64(0.5 + f64::from(chance[0]) / 256.0)
    }

    pub(crate) async fn close(&self) {
        self.pool.close();
    }
}

const fn is_to_be_repeated(failure: Option<&StoreError>, attempt: u32) -> bool {
    matches!(failure, Some(StoreError::Conflict(_))) && attempt < ATTEMPTS
}

/// A connection in use. It goes back to the pool only when its last statement was answered: a caller
/// who stopped waiting leaves it in the middle of one, and the next caller would have to wait for that.
struct Checkout {
    client: Option<Client>,
    is_idle: bool,
}

impl Deref for Checkout {
    type Target = Client;

    fn deref(&self) -> &Client {
        #[allow(clippy::expect_used, reason = "the connection is only taken by drop")]
        self.client.as_ref().expect("a connection in use is there")
    }
}

impl DerefMut for Checkout {
    fn deref_mut(&mut self) -> &mut Client {
        #[allow(clippy::expect_used, reason = "the connection is only taken by drop")]
        self.client.as_mut().expect("a connection in use is there")
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if let (false, Some(client)) = (self.is_idle, self.client.take()) {
            drop(Client::take(client));
        }
    }
}

enum Handle<'c> {
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
    const fn new(handle: Handle<'c>, context: &'c Context) -> Self {
        Self { handle, context }
    }

    pub(crate) async fn execute(&mut self, sql: &Sql, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.may_change()?;
        let statement = self.prepare(sql).await?;
        let rows = self.send(&statement, values).await.map_err(|error| self.changing_error(&error, sql))?;
        let mut rows = pin!(rows);
        while rows.try_next().await.map_err(|error| self.changing_error(&error, sql))?.is_some() {}
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

    pub(crate) async fn query_changed<T>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.may_change()?;
        let statement = self.prepare(sql).await?;
        let rows = self.send(&statement, values).await.map_err(|error| self.changing_error(&error, sql))?;
        let mut rows = pin!(rows);
        let mut first = None;
        while let Some(row) = rows.try_next().await.map_err(|error| self.changing_error(&error, sql))? {
            if first.is_none() {
                first = Some(read(&Row::postgres(sql.name(), &row))?);
            }
        }
        Ok(first)
    }

    pub(crate) async fn query_each(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let failed = |error: tokio_postgres::Error| store_error(&error, sql.name());
        let statement = self.prepare(sql).await?;
        let rows = self.send(&statement, values).await.map_err(failed)?;
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            read(&Row::postgres(sql.name(), &row))?;
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

    /// Inside a transaction a lost connection undoes the change; outside, it is unknown.
    fn changing_error(&self, error: &tokio_postgres::Error, sql: &Sql) -> StoreError {
        match self.handle {
            Handle::Transaction(_) => store_error(error, sql.name()),
            Handle::Single { .. } => write_error(error, sql.name()),
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

/// The meaning of an error of something that commits.
fn write_error(error: &tokio_postgres::Error, statement: &str) -> StoreError {
    match store_error(error, statement) {
        StoreError::Unavailable(cause) => StoreError::OutcomeUnknown(cause),
        known => known,
    }
}

/// The one place where PostgreSQL's errors get their meaning.
fn store_error(error: &tokio_postgres::Error, statement: &str) -> StoreError {
    let Some(server) = error.as_db_error() else {
        let cause = Cause::new(format!("{statement}: {}", chain(error)));
        let lost = error.is_closed()
            || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>());
        return if lost { StoreError::Unavailable(cause) } else { StoreError::Backend(cause) };
    };
    let code = server.code();
    if *code == SqlState::UNIQUE_VIOLATION
        && let Some(error) = server.constraint().and_then(taken_constraint)
    {
        return error;
    }
    if *code == SqlState::CHECK_VIOLATION
        && let Some(error) = server.constraint().and_then(refused)
    {
        return error;
    }
    if *code == SqlState::FOREIGN_KEY_VIOLATION {
        return StoreError::MissingParent { entity: entity_of_table(server.table()) };
    }
    let cause = Cause::new(format!("{statement}: {}: {}", server.code().code(), server.message()));
    match code.code() {
        "40001" | "40P01" => StoreError::Conflict(cause),
        "42P01" => StoreError::Corrupt(format!("{cause}; are the tables migrated?")),
        "57014" | "55P03" => StoreError::Timeout(cause),
        "53100" => StoreError::StorageFull(cause),
        "25006" => StoreError::ReadOnly(cause),
        "57P01" | "57P02" | "57P03" | "53300" => StoreError::Unavailable(cause),
        other if other.starts_with("08") => StoreError::Unavailable(cause),
        "XX001" | "XX002" => StoreError::Corrupt(cause.to_string()),
        _ => StoreError::Backend(cause),
    }
}

fn connect_error(place: String, error: PoolError) -> ConnectError {
    let PoolError::Backend(error) = error else {
        return ConnectError::Unreachable { place, cause: Cause::new(error) };
    };
    let Some(server) = error.as_db_error() else {
        return ConnectError::Unreachable { place, cause: Cause::new(chain(&error)) };
    };
    let reason = server.message().to_owned();
    match server.code().code() {
        "28P01" | "28000" | "42501" => ConnectError::Denied { place, cause: Cause::new(reason) },
        "3D000" => ConnectError::Unusable { place, reason: format!("{reason}; create it first") },
        _ => ConnectError::Unreachable { place, cause: Cause::new(reason) },
    }
}

/// The driver keeps the telling part in its source.
fn chain(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
