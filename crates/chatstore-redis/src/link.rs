//! The one connection of a process, and what happens while there is none.
//!
//! A task in the background opens it and looks after it. Commands use what is open; they wait for no connection. One that
//! fails makes the task look at once, and it gives the connection up when the server does not answer.

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chatstore::shared_cache::CacheFamily;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, PushInfo, PushKind, RedisError, RedisResult, Script, Value};
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::connect::{ConnectFailure, connect};
use crate::options::RedisOptions;
use crate::revisions::{Revisions, family_key};

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

/// What comes on the connection without being asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// What a process published.
    Text(Arc<str>),
    /// The connection is new: what was published before is lost.
    Opened,
}

/// Texts that wait to be heard. Who is so late misses some, and is told that.
const PUSHED: usize = 256;

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
    pushed: broadcast::Sender<Pushed>,
    /// Something failed: the connection may not work.
    trouble: Notify,
    /// A command was not answered in time: no other one is sent until the server has answered.
    is_suspect: AtomicBool,
    was_tried: watch::Sender<bool>,
    revisions: Revisions,
    renew: Script,
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
            pushed: broadcast::Sender::new(PUSHED),
            trouble: Notify::new(),
            is_suspect: AtomicBool::new(false),
            was_tried: watch::Sender::new(false),
            revisions: Revisions::default(),
            renew: Script::new(include_str!("renew.lua")),
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

    /// Whether what is to be done is sent, and not refused at once.
    pub(crate) fn takes_commands(&self) -> bool {
        self.is_up() && !self.is_suspect.load(Ordering::SeqCst)
    }

    pub(crate) const fn revisions(&self) -> &Revisions {
        &self.revisions
    }

    /// Has a family's revision renewed before this process looks anything up in it.
    pub(crate) fn renew_later(&self, family: CacheFamily) {
        self.revisions.want(family);
        self.trouble.notify_one();
    }

    /// What comes from now on.
    pub(crate) fn pushed(&self) -> broadcast::Receiver<Pushed> {
        self.pushed.subscribe()
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
        let mut connection = open.filter(|_| !self.is_suspect.load(Ordering::SeqCst)).ok_or(Unavailable)?;
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
            None => {
                self.is_suspect.store(true, Ordering::SeqCst);
                self.trouble.notify_one();
            }
        }
        Err(Unavailable)
    }

    /// Opens the connection again and again, and looks after it while it is open.
    async fn keep_open(self: Arc<Self>) {
        loop {
            match self.opened().await {
                Ok(mut connection) => {
                    // What others failed to remove meanwhile is not known.
                    self.revisions.want(CacheFamily::Database);
                    self.renew(&mut connection).await;
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
        let pushed = self.pushed.clone();
        let push = move |info: PushInfo| -> Result<(), Infallible> {
            if let Some(text) = published(info) {
                // Nobody listens in a process that only tells.
                let _ = pushed.send(Pushed::Text(text));
            }
            Ok(())
        };
        let mut connection = connect(&self.options, push).await?;
        let answered = async {
            connection.subscribe(self.options.channel()).await?;
            ping(&mut connection).await
        };
        match timeout(self.options.timeout, answered).await {
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
            self.renew(&mut connection).await;
            self.is_suspect.store(false, Ordering::SeqCst);
        }
    }

    /// Renews the revisions that have to be. One that could not be stays wanted.
    async fn renew(&self, connection: &mut MultiplexedConnection) {
        for family in [CacheFamily::Database, CacheFamily::Responses] {
            let Some(wanted) = self.revisions.wanted(family) else { continue };
            let mut call = self.renew.key(family_key(&self.options.prefix, family));
            let renewed = timeout(self.options.timeout, call.arg("").invoke_async::<i64>(connection)).await;
            match renewed {
                Ok(Ok(_)) => self.revisions.renewed(family, wanted),
                Ok(Err(error)) => {
                    tracing::debug!(error.cause = %error, "a revision in Redis could not be renewed");
                }
                Err(_) => tracing::debug!("a revision in Redis could not be renewed in time"),
            }
        }
    }

    fn found(&self, connection: &MultiplexedConnection) {
        self.is_suspect.store(false, Ordering::SeqCst);
        self.open.send_replace(Some(connection.clone()));
        // Nobody listens in a process that only tells.
        let _ = self.pushed.send(Pushed::Opened);
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

/// The text of what was published; `None` for what is pushed otherwise.
fn published(info: PushInfo) -> Option<Arc<str>> {
    match (info.kind, info.data.as_slice()) {
        (PushKind::Message, [_channel, Value::BulkString(text)]) => {
            std::str::from_utf8(text).ok().map(Arc::from)
        }
        _ => None,
    }
}

/// Asks whether the server answers.
pub(crate) async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
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
