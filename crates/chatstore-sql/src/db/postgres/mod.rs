//! PostgreSQL: a pool of connections with prepared statements.

mod checkout;
mod connections;
mod copy;
mod deadlines;
mod error;
mod executor;
mod failure;
mod long_reads;
mod notifications;
mod sqlstate;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Client, ClientWrapper};

use crate::context::Context;
use crate::db::tls::TlsSettings;
use crate::error::{Cause, ConnectError, StoreError};
use crate::tx::{Finished, ReadOnly, Tx, WriteTx};

use checkout::Checkout;
use connections::Connections;
pub(crate) use error::{is_lost, with_source};
use error::{store_error, write_error};
pub(crate) use executor::PostgresExecutor;
use executor::{Handle, Reading};
use long_reads::{LongRead, LongReads};
pub use notifications::Notifications;
pub(crate) use sqlstate::{Meaning, meaning};

/// How often a transaction is run again after a conflict.
const ATTEMPTS: u32 = 8;

const NO_ANSWER: &str = "the database does not answer";

/// One PostgreSQL database.
pub(crate) struct PostgresDatabase {
    context: Arc<Context>,
    connections: Arc<Connections>,
    of_much_time: LongReads,
    of_many_bytes: LongReads,
}

impl PostgresDatabase {
    /// Creates the pool and its first connection, so that a wrong address or password is noticed now.
    pub(crate) async fn connect(
        config: tokio_postgres::Config,
        tls: &TlsSettings,
        place: String,
        pool_size: usize,
        context: Arc<Context>,
        random: fn(&mut [u8]),
    ) -> Result<Self, ConnectError> {
        let connections = Connections::open(config, tls, place, pool_size, random).await?;
        let (of_much_time, of_many_bytes) =
            (LongReads::of_much_time(pool_size), LongReads::of_many_bytes(pool_size));
        Ok(Self { context, connections, of_much_time, of_many_bytes })
    }

    /// Runs `work`, and again among those that read much when it turns out to be one.
    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut Tx<'_, ReadOnly>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.read_with(None, work).await
    }

    /// Runs `work` among those whose time grows with what is stored.
    pub(crate) async fn read_long<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut Tx<'_, ReadOnly>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.read_with(Some(self.of_much_time.acquire().await?), work).await
    }

    async fn read_with<T, E, F>(&self, mut permit: Option<LongRead<'_>>, mut work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut Tx<'_, ReadOnly>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut is_repeated = false;
        loop {
            let mut client = Checkout::acquire(&self.connections).await?;
            let reading = if permit.is_some() { Reading::Much } else { Reading::Little };
            let mut tx = self.autocommit(&client, reading);
            let result = work(&mut tx).await;
            if tx.executor.is_to_read_much() {
                drop(result);
                client.set_idle();
                drop(client);
                permit = Some(self.of_many_bytes.acquire().await?);
                continue;
            }
            let failure = tx.executor.into_failed();
            if result.is_ok() {
                client.set_idle();
                return result;
            }
            match failure {
                Some(StoreError::Unavailable(_)) if !is_repeated => {
                    // The server was restarted since this connection was last used, and since every other
                    // idle one was; a read can be repeated.
                    client.discard();
                    self.connections.found_silent();
                    is_repeated = true;
                }
                // The answer may still come, and is waited for in the background.
                Some(StoreError::Timeout(_) | StoreError::OutcomeUnknown(_)) => return result,
                _ => {
                    client.set_idle();
                    return result;
                }
            }
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
        let mut is_renewed = false;
        loop {
            let mut client = Checkout::acquire(&self.connections).await?;
            let done = if is_single {
                Ok(self.single(&client, &mut work).await)
            } else {
                self.transaction(&mut client, &mut work).await
            };
            let Finished { result, failure } = match done {
                Ok(finished) => finished,
                // The server was restarted since; nothing was sent but the beginning.
                Err(StoreError::Unavailable(_)) if !is_renewed => {
                    is_renewed = true;
                    client.discard();
                    self.connections.found_silent();
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            match failure {
                // The answer may still come, and is waited for in the background.
                Some(StoreError::Timeout(_) | StoreError::OutcomeUnknown(_)) => return result,
                Some(StoreError::ReadOnly(_)) if self.connections.renew() => {
                    client.discard();
                    return result;
                }
                Some(StoreError::Conflict(_)) if attempt < ATTEMPTS => {}
                _ => {
                    client.set_idle();
                    return result;
                }
            }
            client.set_idle();
            drop(client);
            tokio::time::sleep(self.pause(attempt)).await;
            attempt += 1;
        }
    }

    /// Runs `work` in a transaction. The outer error is that it could not be begun.
    async fn transaction<T, E, F>(
        &self,
        client: &mut Client,
        work: &mut F,
    ) -> Result<Finished<T, E>, StoreError>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E>,
        E: From<StoreError>,
    {
        let begun = self.connections.answered(client.transaction()).await;
        let begun = begun.ok_or_else(|| StoreError::Timeout(Cause::new(NO_ANSWER)))?;
        let transaction = begun.map_err(|error| store_error(&error, "begin"))?;
        let executor =
            PostgresExecutor::new(Handle::Transaction(&transaction), &self.connections, &self.context);
        let mut tx = Tx::new(executor.into(), &self.context);
        let result = work(&mut tx).await;
        let finished = tx.finish(result);
        if finished.result.is_err() {
            if let Some(Err(error)) = self.connections.answered(transaction.rollback()).await {
                tracing::debug!(error.cause = %error, "rolling back failed; the connection is given up");
            }
            return Ok(finished);
        }
        match self.connections.answered(transaction.commit()).await {
            Some(Ok(())) => Ok(finished),
            Some(Err(error)) => Ok(Finished::failed(write_error(&error, "commit"))),
            None => Ok(Finished::failed(StoreError::OutcomeUnknown(Cause::new(NO_ANSWER)))),
        }
    }

    /// Runs `work`, which changes something in at most one statement, without a transaction around it.
    async fn single<T, E, F>(&self, client: &Client, work: &mut F) -> Finished<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E>,
        E: From<StoreError>,
    {
        let mut tx = self.autocommit(client, Reading::Much);
        let result = work(&mut tx).await;
        tx.finish(result)
    }

    fn autocommit<'c, M>(&'c self, client: &'c Client, reading: Reading) -> Tx<'c, M> {
        let handle = Handle::Single { client, changed: false };
        let executor = PostgresExecutor::new(handle, &self.connections, &self.context).reading(reading);
        Tx::new(executor.into(), &self.context)
    }

    /// A connection that is never given back to the pool.
    pub(crate) async fn own_client(&self) -> Result<ClientWrapper, StoreError> {
        Checkout::acquire(&self.connections).await?.into_own()
    }

    /// What is told on a channel; `None` where a pooler gives each transaction another session.
    pub(crate) async fn listen(&self, channel: &str) -> Option<Result<Notifications, StoreError>> {
        if !self.keeps_sessions() {
            return None;
        }
        Some(Notifications::open(&self.connections, channel).await)
    }

    /// Whether a connection is a session of its own, as far as is known.
    pub(crate) fn keeps_sessions(&self) -> bool {
        self.connections.keeps_statements()
    }

    /// Closes idle connections, but not often: a new one may reach a server that takes writes.
    pub(crate) fn renew(&self) {
        self.connections.renew();
    }

    /// Whether connections are encrypted, by the one that was opened last.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.connections.is_encrypted()
    }

    /// The encoding of the database.
    pub(crate) fn encoding(&self) -> Option<&str> {
        self.connections.encoding()
    }

    /// 1, 2, 4 … milliseconds, and up to as much again by chance, so that two do not meet for ever.
    fn pause(&self, attempt: u32) -> Duration {
        let mut chance = [0];
        self.context.ids.random(&mut chance);
        Duration::from_millis(1 << attempt.min(6)).mul_f64(0.5 + f64::from(chance[0]) / 256.0)
    }

    pub(crate) async fn close(&self) {
        self.connections.close();
    }
}
