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
mod standbys;
mod wal;
mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_postgres::{Client, ClientWrapper};
use futures_util::future::join;
use tokio_postgres::Config;

use crate::context::Context;
use crate::error::{Cause, ConnectError, StoreError};
use crate::measures::{COMMIT, ConnectionMeasures, Ended};
use crate::standby_reads::WalPosition;
use crate::tx::{Finished, ReadOnly, Tx, WriteTx};
use crate::url::PostgresTarget;

use checkout::Checkout;
use connections::Connections;
pub(crate) use error::{is_lost, with_source};
use error::{store_error, write_error};
pub(crate) use executor::PostgresExecutor;
use executor::{Handle, Reading};
use long_reads::{LongRead, LongReads};
pub use notifications::Notifications;
pub(crate) use sqlstate::{Meaning, meaning};
pub(crate) use standbys::Standbys;
pub(crate) use wal::{Noted, Written};
use wire::Wire;

/// How often a transaction is run again after a conflict.
const ATTEMPTS: u32 = 8;

const NO_ANSWER: &str = "the database does not answer";

/// What became of a read on a standby.
pub(crate) enum Checked<T> {
    /// It was read, and everything before the position was there.
    Read(T),
    /// The standby has not replayed as much yet.
    Behind,
    /// It is no standby.
    NoStandby,
    /// The work failed. What is absent may only not be there yet.
    Refused,
    /// The standby failed, or ended the read for what it had to replay.
    Failed,
}

/// One PostgreSQL database.
pub(crate) struct PostgresDatabase {
    context: Arc<Context>,
    connections: Arc<Connections>,
    of_much_time: LongReads,
    of_many_bytes: LongReads,
    /// How to reach the server itself where a pooler is in front of it.
    direct: Option<(Wire, Config)>,
}

impl PostgresDatabase {
    /// Creates the pool and its first connection, so that a wrong address or password is noticed now.
    pub(crate) async fn connect(
        server: &PostgresTarget,
        pool_size: usize,
        context: Arc<Context>,
        random: fn(&mut [u8]),
    ) -> Result<Self, ConnectError> {
        let connections = Connections::open(server, pool_size, random).await?;
        let (of_much_time, of_many_bytes) =
            (LongReads::of_much_time(pool_size), LongReads::of_many_bytes(pool_size));
        Ok(Self { context, connections, of_much_time, of_many_bytes, direct: None })
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

    /// Runs `work`, while the connection says how much is there: what it read counts only if everything before `position`
    /// was, and the server is a standby.
    pub(crate) async fn read_behind<T, E, F>(
        &self,
        position: WalPosition,
        is_long: bool,
        work: &mut F,
    ) -> Checked<T>
    where
        F: AsyncFnMut(&mut Tx<'_, ReadOnly>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut permit = None;
        if is_long {
            permit = self.of_much_time.acquire().await.ok();
        }
        loop {
            let Ok(mut client) = Checkout::acquire(&self.connections).await else { return Checked::Failed };
            let reading = if permit.is_some() { Reading::Much } else { Reading::Little };
            let mut tx = self.autocommit(&client, reading);
            let question = wal::prepare_replayed(&client, self.connections.keeps_statements()).await;
            // Sent first and answered first, without a wait in between.
            let (replayed, result) = join(wal::replayed(&client, question.as_ref()), work(&mut tx)).await;
            if tx.executor.is_to_read_much() {
                drop(result);
                client.set_idle();
                drop(client);
                let Ok(acquired) = self.of_many_bytes.acquire().await else { return Checked::Refused };
                permit = Some(acquired);
                continue;
            }
            let failure = tx.executor.into_failed();
            if failure.is_some() || replayed.is_err() {
                client.discard();
                return Checked::Failed;
            }
            client.set_idle();
            return match (replayed, result) {
                (Ok(Some(replayed)), Ok(value)) if replayed >= position => Checked::Read(value),
                (Ok(Some(replayed)), Err(_)) if replayed >= position => Checked::Refused,
                (Ok(Some(_)), _) => Checked::Behind,
                _ => Checked::NoStandby,
            };
        }
    }

    /// Up to where a standby has replayed; `None` when the server is none.
    pub(crate) async fn replayed(&self) -> Result<Option<WalPosition>, StoreError> {
        let mut client = Checkout::acquire(&self.connections).await?;
        let replayed =
            wal::replayed(&client, None).await.map_err(|error| store_error(&error, "wal.replayed"))?;
        client.set_idle();
        Ok(replayed)
    }

    /// Up to where the server has written.
    pub(crate) async fn written(&self) -> Result<Written, StoreError> {
        let mut client = Checkout::acquire(&self.connections).await?;
        let written = wal::written(&client).await.map_err(|error| store_error(&error, "wal.written"))?;
        client.set_idle();
        Ok(written)
    }

    /// Closes every connection that is idle now.
    pub(crate) fn found_silent(&self) {
        self.connections.found_silent();
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
    /// Says in `noted`, if that is wanted, from where on it is in the write-ahead log.
    pub(crate) async fn write<T, E, F>(&self, is_single: bool, noted: Noted<'_>, mut work: F) -> Result<T, E>
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
                Ok(self.single(&client, noted, &mut work).await)
            } else {
                self.transaction(&mut client, noted, &mut work).await
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
                Some(StoreError::Conflict(_)) if attempt < ATTEMPTS => {
                    self.context.measures.count_conflict_retry();
                }
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
        noted: Noted<'_>,
        work: &mut F,
    ) -> Result<Finished<T, E>, StoreError>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E>,
        E: From<StoreError>,
    {
        let begun = self.connections.answered(client.transaction()).await;
        let begun = begun.ok_or_else(|| StoreError::Timeout(Cause::new(NO_ANSWER)))?;
        let transaction = begun.map_err(|error| store_error(&error, "begin"))?;
        if !self.connections.keeps_statements() {
            let set =
                self.connections.answered(transaction.batch_execute(&deadlines::of_transaction())).await;
            let set = set.ok_or_else(|| StoreError::Timeout(Cause::new(NO_ANSWER)))?;
            set.map_err(|error| store_error(&error, "set local"))?;
        }
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
        let commit = self.context.measures.begin(COMMIT, 1);
        let committed = self.connections.answered(transaction.commit()).await;
        commit.end(
            0,
            match &committed {
                Some(Ok(())) => Ended::Done,
                Some(Err(_)) => Ended::Failed,
                None => Ended::TimedOut,
            },
        );
        match committed {
            Some(Ok(())) => {}
            Some(Err(error)) => return Ok(Finished::failed(write_error(&error, "commit"))),
            None => return Ok(Finished::failed(StoreError::OutcomeUnknown(Cause::new(NO_ANSWER)))),
        }
        if let Some(noted) = noted {
            let keeps_statements = self.connections.keeps_statements();
            let position = self.connections.answered(wal::inserted(client, keeps_statements)).await;
            noted.store(wal::known(position).bytes(), Ordering::Relaxed);
        }
        Ok(finished)
    }

    /// Runs `work`, which changes something in at most one statement, without a transaction around it.
    async fn single<T, E, F>(&self, client: &Client, noted: Noted<'_>, work: &mut F) -> Finished<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E>,
        E: From<StoreError>,
    {
        let handle = Handle::Single { client, changed: false, noted };
        let executor = PostgresExecutor::new(handle, &self.connections, &self.context);
        let mut tx = Tx::new(executor.into(), &self.context);
        let result = work(&mut tx).await;
        tx.finish(result)
    }

    fn autocommit<'c, M>(&'c self, client: &'c Client, reading: Reading) -> Tx<'c, M> {
        let handle = Handle::Single { client, changed: false, noted: None };
        let executor = PostgresExecutor::new(handle, &self.connections, &self.context).reading(reading);
        Tx::new(executor.into(), &self.context)
    }

    /// A connection that is never given back to the pool.
    pub(crate) async fn own_client(&self) -> Result<ClientWrapper, StoreError> {
        Checkout::acquire(&self.connections).await?.into_own()
    }

    /// The same, where the server itself is named beside a pooler in front of it.
    pub(crate) fn with_direct(
        self,
        server: &PostgresTarget,
        random: fn(&mut [u8]),
    ) -> Result<Self, ConnectError> {
        let unusable = |reason| ConnectError::Unusable { place: server.place.clone(), reason };
        let direct = Some(Wire::new(server, random).map_err(unusable)?);
        Ok(Self { direct, ..self })
    }

    /// What is told on a channel; `None` where a pooler gives each transaction another session, and the server itself is
    /// not named.
    pub(crate) async fn listen(&self, channel: &str) -> Option<Result<Notifications, StoreError>> {
        let (wire, config) = match &self.direct {
            Some((wire, config)) => (wire, config),
            None if self.keeps_sessions() => self.connections.opening(),
            None => return None,
        };
        Some(Notifications::open(wire, config, channel).await)
    }

    /// Whether a connection is a session of its own, as far as is known.
    pub(crate) fn keeps_sessions(&self) -> bool {
        self.connections.keeps_statements()
    }

    /// Closes idle connections, but not often: a new one may reach a server that takes writes.
    pub(crate) fn renew(&self) {
        self.connections.renew();
    }

    /// How many connections there are, and how callers waited for one.
    pub(crate) fn connection_measures(&self) -> ConnectionMeasures {
        self.connections.measures()
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
