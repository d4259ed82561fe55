//! The connections of a database: how many there are, which work, and who gets one.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use deadpool_postgres::{
    Client, ClientWrapper, Hook, HookError, Manager, ManagerConfig, Metrics, Pool, PoolError, QueueMode,
    RecyclingMethod, Runtime,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_postgres::{CancelToken, Config};

use super::deadlines;
use super::error::{acquire_error, connect_error, is_too_many_connections};
use super::wire::Wire;
use crate::error::{Cause, ConnectError, StoreError};
use crate::measures::{ConnectionMeasures, Waits};
use crate::server_failure::{ServerError, ServerFailure};
use crate::url::PostgresTarget;

/// The connections of a database.
pub(super) struct Connections {
    pool: Pool,
    size: usize,
    /// A permit for each connection that there may be; fewer than `size` while the server refuses more.
    permits: Arc<Semaphore>,
    refused: Mutex<Refused>,
    doubts: Arc<Doubts>,
    cancels: Semaphore,
    renewed: Mutex<Option<Instant>>,
    wire: Wire,
    config: Config,
    waits: Waits,
}

/// Connections that the server refused to open.
#[derive(Debug, Default)]
struct Refused {
    count: usize,
    since: Option<Instant>,
    /// Growing again and being refused again is no news.
    is_reported: bool,
}

/// Which idle connections may not work any more.
#[derive(Debug, Default)]
struct Doubts {
    /// Those used before the first instant prove that they work before they are used again, those used before
    /// the second are closed.
    instants: Mutex<(Option<Instant>, Option<Instant>)>,
    /// Lets the ordinary case pass without a lock.
    count: AtomicUsize,
}

impl Connections {
    /// Opens the first connection, so that a wrong address or password is noticed now.
    pub(super) async fn open(
        server: &PostgresTarget,
        size: usize,
        random: fn(&mut [u8]),
    ) -> Result<Arc<Self>, ConnectError> {
        let place = server.place.clone();
        let opened = Wire::new(server, random);
        let (wire, config) =
            opened.map_err(|reason| ConnectError::Unusable { place: place.clone(), reason })?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(config.clone(), wire.clone(), recycling);
        let doubts = Arc::new(Doubts::default());
        let examining = Arc::clone(&doubts);
        let examine = Hook::async_fn(move |client: &mut ClientWrapper, metrics: &Metrics| {
            let doubts = Arc::clone(&examining);
            let used = metrics.recycled.unwrap_or(metrics.created);
            Box::pin(async move { doubts.examine(client, used).await })
        });
        // The connection used last is used first: few of them grow by what large answers need.
        let pool = Pool::builder(manager)
            .max_size(size)
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .pre_recycle(examine)
            .build();
        let pool = pool
            .map_err(|error| ConnectError::Unreachable { place: place.clone(), cause: Cause::new(error) })?;
        match timeout(deadlines::FIRST, pool.get()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(connect_error(place, error)),
            Err(_) => {
                let text = format!("no answer within {:?}", deadlines::FIRST);
                let cause = Cause::new(ServerError { failure: Some(ServerFailure::NoAnswer), text });
                return Err(ConnectError::Unreachable { place, cause });
            }
        }
        Ok(Arc::new(Self {
            pool,
            size,
            permits: Arc::new(Semaphore::new(size)),
            refused: Mutex::default(),
            doubts,
            cancels: Semaphore::new(deadlines::CANCELS),
            renewed: Mutex::default(),
            wire,
            config,
            waits: Waits::default(),
        }))
    }

    /// A connection, as soon as there is one, and the right to have it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is none in time; nothing was sent then.
    pub(super) async fn acquire(&self) -> Result<(Client, OwnedSemaphorePermit), StoreError> {
        let since = Instant::now();
        let acquired = timeout(deadlines::ACQUIRE, self.acquire_some_time()).await;
        self.waits.observe(since.elapsed());
        match acquired {
            Ok(acquired) => acquired,
            Err(_) => {
                self.waits.count_timeout();
                let reason =
                    format!("no connection became free or could be opened within {:?}", deadlines::ACQUIRE);
                Err(StoreError::Unavailable(Cause::new(reason)))
            }
        }
    }

    async fn acquire_some_time(&self) -> Result<(Client, OwnedSemaphorePermit), StoreError> {
        loop {
            self.grow_again();
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let permit = permit.map_err(|_| acquire_error(PoolError::Closed))?;
            match self.pool.get().await {
                Ok(client) => return Ok((client, permit)),
                Err(PoolError::Backend(error)) if is_too_many_connections(&error) => {
                    self.manage_with_fewer(permit, &error).await;
                }
                Err(error) => return Err(acquire_error(error)),
            }
        }
    }

    /// Does without the connection that the server refused to open: its would-be user waits for another one.
    async fn manage_with_fewer(&self, permit: OwnedSemaphorePermit, error: &tokio_postgres::Error) {
        let is_last = {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            let is_last = refused.count + 1 >= self.size;
            if !is_last {
                refused.count += 1;
                permit.forget();
            }
            refused.since = Some(Instant::now());
            if !refused.is_reported {
                refused.is_reported = true;
                tracing::warn!(
                    error.cause = error.as_db_error().map_or("", |server| server.message()),
                    pool = self.size,
                    "the database refuses more connections; requests share the ones that are open"
                );
            }
            is_last
        };
        if is_last {
            tokio::time::sleep(deadlines::REFUSED_PAUSE).await;
        }
    }

    fn grow_again(&self) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.since.is_some_and(|since| since.elapsed() >= deadlines::GROW_AGAIN) {
            refused.since = None;
            self.permits.add_permits(std::mem::take(&mut refused.count));
        }
    }

    /// Lets every connection that is idle now prove that it works before it is used again.
    pub(super) fn suspect_idle(&self) {
        self.doubts.raise(|(suspected, _)| *suspected = Some(Instant::now()));
    }

    /// Closes every connection that is idle now.
    pub(super) fn found_silent(&self) {
        self.doubts.found_silent();
    }

    /// Closes idle connections, but not often: to be called when the server takes no writes, because a new
    /// connection may reach another one. Whether it did.
    pub(super) fn renew(&self) -> bool {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.is_some_and(|last| last.elapsed() < deadlines::RENEW) {
            return false;
        }
        *renewed = Some(Instant::now());
        drop(self.pool.retain(|_, _| false));
        true
    }

    /// How connections are opened, for one beside the pool.
    pub(super) const fn opening(&self) -> (&Wire, &Config) {
        (&self.wire, &self.config)
    }

    /// Waits for an answer on a connection, longer than the server works on one; `None` when there was none. The
    /// idle connections come under suspicion long before.
    pub(super) async fn answered<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let mut answer = pin!(answer);
        // Most rows have arrived together with the one before: they need no timer.
        if let Poll::Ready(answer) = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await {
            return Some(answer);
        }
        if let Ok(answer) = timeout(deadlines::SUSPICION, answer.as_mut()).await {
            return Some(answer);
        }
        self.suspect_idle();
        timeout(deadlines::ANSWER, answer).await.ok()
    }

    /// Cancels what a connection is doing, as one of a few at the same time. Whether that worked shows on the
    /// connection.
    pub(super) async fn cancel(&self, token: CancelToken) {
        let cancelled = timeout(deadlines::CANCELLED, async {
            let Ok(_permit) = self.cancels.acquire().await else { return };
            if let Err(error) = self.wire.cancel(&token).await {
                tracing::debug!(error.cause = %error, "a statement could not be cancelled");
            }
        });
        if cancelled.await.is_err() {
            tracing::debug!("a statement could not be cancelled in time");
        }
    }

    /// Whether a prepared statement is found again by its name in the next transaction.
    pub(super) fn keeps_statements(&self) -> bool {
        self.wire.keeps_statements()
    }

    /// Draws the consequences of a prepared statement that the server refused: it is outdated on every
    /// connection, or a pooler is in front of the server.
    pub(super) fn prepare_again(&self, error: &tokio_postgres::Error) {
        let is_outdated = error.code() == Some(&tokio_postgres::error::SqlState::FEATURE_NOT_SUPPORTED);
        if is_outdated {
            self.pool.manager().statement_caches.clear();
        } else {
            self.wire.statements_are_forgotten();
        }
    }

    /// How many there are, and how callers waited for one.
    pub(super) fn measures(&self) -> ConnectionMeasures {
        let pool = self.pool.status();
        self.waits.read((self.size, pool.size, pool.size.saturating_sub(pool.available)))
    }

    /// Whether connections are encrypted, by the one that was opened last.
    pub(super) fn is_encrypted(&self) -> bool {
        self.wire.is_encrypted()
    }

    /// The encoding of the database.
    pub(super) fn encoding(&self) -> Option<&str> {
        self.wire.encoding()
    }

    pub(super) fn close(&self) {
        self.permits.close();
        self.pool.close();
    }
}

impl Doubts {
    fn raise(&self, change: impl FnOnce(&mut (Option<Instant>, Option<Instant>))) {
        change(&mut self.instants.lock().unwrap_or_else(PoisonError::into_inner));
        self.count.fetch_add(1, Ordering::Release);
    }

    fn found_silent(&self) {
        self.raise(|(_, silent)| *silent = Some(Instant::now()));
    }

    /// Fails for a connection that was last used at this instant and does not work.
    async fn examine(&self, client: &ClientWrapper, used: Instant) -> Result<(), HookError> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let (suspected, silent) = *self.instants.lock().unwrap_or_else(PoisonError::into_inner);
        if silent.is_some_and(|silent| used < silent) {
            return Err(HookError::message("another connection is silent"));
        }
        if suspected.is_none_or(|suspected| used > suspected) {
            return Ok(());
        }
        match timeout(deadlines::PROBE, client.check_connection()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(HookError::Backend(error)),
            Err(_) => {
                self.found_silent();
                Err(HookError::message("the connection is silent"))
            }
        }
    }
}
