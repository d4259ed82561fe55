//! PostgreSQL: a pool of connections with prepared statements.

mod error;
mod executor;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Client, ClientWrapper, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use tokio_postgres::NoTls;

use crate::context::Context;
use crate::db::tls::{TlsMode, TlsSettings};
use crate::error::{Cause, ConnectError, StoreError};
use crate::tx::{Finished, ReadOnly, Tx, WriteTx};

use error::{connect_error, store_error, write_error};
pub(crate) use error::{is_lost, with_source};
use executor::Handle;
pub(crate) use executor::PostgresExecutor;

/// How long a caller waits for a connection, a connection for the server, and a dead peer is given.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements and idle transactions longer than this are ended by the server; milliseconds.
const SESSION_SETTINGS: &str = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=30000 -c timezone=UTC \
     -c default_transaction_isolation=read\\ committed";

/// How often a transaction is run again after a conflict.
const ATTEMPTS: u32 = 8;

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

    /// Runs `work`, again after a conflict: in a transaction, or as the one statement that changes something.
    pub(crate) async fn write<T, E, F>(&self, is_single: bool, mut work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut attempt = 1;
        loop {
            let mut client = self.client().await?;
            let Finished { result, failure } = if is_single {
                self.single(&client, &mut work).await
            } else {
                self.transaction(&mut client, &mut work).await
            };
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
    async fn single<T, E, F>(&self, client: &Client, work: &mut F) -> Finished<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E>,
        E: From<StoreError>,
    {
        let mut tx = self.autocommit(client);
        let result = work(&mut tx).await;
        tx.finish(result)
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
