//! The one connection of a process, and what happens while there is none.
//!
//! A task in the background opens it and looks after it. Commands use what is open; they wait for no connection. One that
//! fails makes the task look at once, and it gives the connection up when the server does not answer.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, PushInfo, RedisError, RedisResult};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::connect::{ConnectFailure, connect};
use crate::options::RedisOptions;

/// How often a connection is tried, and an open one asked whether it still works.
const PACE: Duration = Duration::from_secs(1);

/// How many times as long as a command the answer to that may take: a connection is not given up for a single delay.
const PROBE_FACTOR: u32 = 5;

/// Redis did not do what it was asked for. The work goes on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Redis does not answer")]
pub struct Unavailable;

/// What a process has asked Redis for since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RedisCounts {
    /// Commands that were sent.
    pub commands: u64,
    /// Commands that failed, or were not answered in time.
    pub errors: u64,
    /// How often the connection was lost.
    pub losses: u64,
}

/// A connection that is opened again and again until this is dropped.
#[derive(Debug)]
pub(crate) struct KeptOpen {
    link: Arc<Link>,
    keeper: AbortHandle,
}

impl KeptOpen {
    /// Begins to connect, in a task of the present Tokio runtime.
    pub(crate) fn start(options: RedisOptions) -> Self {
        let link = Arc::new(Link::new(options));
        let keeper = tokio::spawn(Arc::clone(&link).keep_open()).abort_handle();
        Self { link, keeper }
    }
}

impl Deref for KeptOpen {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

impl Drop for KeptOpen {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// The connection of a process.
#[derive(Debug)]
pub(crate) struct Link {
    options: RedisOptions,
    open: watch::Sender<Option<MultiplexedConnection>>,
    /// Something failed: the connection may not work.
    trouble: Notify,
    was_tried: watch::Sender<bool>,
    is_lost: AtomicBool,
    commands: AtomicU64,
    errors: AtomicU64,
    losses: AtomicU64,
}

impl Link {
    fn new(options: RedisOptions) -> Self {
        Self {
            options,
            open: watch::Sender::new(None),
            trouble: Notify::new(),
            was_tried: watch::Sender::new(false),
            is_lost: AtomicBool::new(false),
            commands: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            losses: AtomicU64::new(0),
        }
    }

    pub(crate) const fn options(&self) -> &RedisOptions {
        &self.options
    }

    pub(crate) fn is_up(&self) -> bool {
        self.open.borrow().is_some()
    }

    /// Waits until the first connection is open or could not be opened.
    pub(crate) async fn tried(&self) {
        // The sender lives as long as this does.
        let _ = self.was_tried.subscribe().wait_for(|tried| *tried).await;
    }

    pub(crate) fn counts(&self) -> RedisCounts {
        RedisCounts {
            commands: self.commands.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            losses: self.losses.load(Ordering::Relaxed),
        }
    }

    /// Does something on the connection, if there is one, and waits for it as long as for a command.
    pub(crate) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, Unavailable> {
        let open = self.open.borrow().clone();
        let mut connection = open.ok_or(Unavailable)?;
        self.commands.fetch_add(1, Ordering::Relaxed);
        let cause = match timeout(self.options.timeout, work(&mut connection)).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        self.errors.fetch_add(1, Ordering::Relaxed);
        match cause {
            // The connection works; Redis is full, or does not let this user do it.
            Some(error) if is_answer(&error) => {
                tracing::debug!(error.cause = %error, "Redis refused a command");
            }
            Some(error) => {
                tracing::debug!(error.cause = %error, "a command to Redis failed");
                self.trouble.notify_one();
            }
            None => self.trouble.notify_one(),
        }
        Err(Unavailable)
    }

    /// Opens the connection again and again, and looks after it while it is open.
    async fn keep_open(self: Arc<Self>) {
        loop {
            match self.opened().await {
                Ok(connection) => {
                    self.found(&connection);
                    self.watch_over(connection).await;
                    self.open.send_replace(None);
                    self.losses.fetch_add(1, Ordering::Relaxed);
                    self.note_lost("it does not answer");
                }
                Err(error) => {
                    self.was_tried.send_replace(true);
                    self.note_lost(&error.to_string());
                    sleep(PACE).await;
                }
            }
        }
    }

    /// A connection that has just answered as fast as commands have to be answered.
    async fn opened(&self) -> Result<MultiplexedConnection, ConnectFailure> {
        let mut connection = connect(&self.options, |_: PushInfo| Ok::<(), Unavailable>(())).await?;
        match timeout(self.options.timeout, ping(&mut connection)).await {
            Ok(answered) => Ok(answered.map(|()| connection)?),
            Err(_) => Err(ConnectFailure::Silent),
        }
    }

    /// Returns when the connection does not work any more.
    async fn watch_over(&self, mut connection: MultiplexedConnection) {
        let patience = self.options.timeout.saturating_mul(PROBE_FACTOR);
        loop {
            // Waiting for trouble has no end of its own.
            let _ = timeout(PACE, self.trouble.notified()).await;
            if !matches!(timeout(patience, ping(&mut connection)).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    fn found(&self, connection: &MultiplexedConnection) {
        self.open.send_replace(Some(connection.clone()));
        self.was_tried.send_replace(true);
        if self.is_lost.swap(false, Ordering::Relaxed) {
            tracing::info!(redis.place = self.options.place(), "Redis is in use again");
        }
    }

    fn note_lost(&self, cause: &str) {
        if !self.is_lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                redis.place = self.options.place(),
                error.cause = cause,
                "Redis is not in use; every process keeps within the limits by itself until it answers"
            );
        }
    }
}

async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let answer: String = redis::cmd("PING").query_async(connection).await?;
    match answer.as_str() {
        "PONG" => Ok(()),
        _ => Err((ErrorKind::UnexpectedReturnType, "another answer than PONG").into()),
    }
}

/// Whether an error is an answer of a server that works.
fn is_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}
