//! rusqlite without a store: connections with the store's settings, used where the caller runs.

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use chatstore_bench::drivers::{connect, statement};
use chatstore_bench::error::Error;
use chatstore_model::{ConversationId, Limit, Timestamp, UserId};
use rusqlite::{Connection, params};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::rows::{BareConversation, BareMessage};
use super::{LIST, PAGE};

/// Connections of a pool: as many as the store reads with.
const POOL: usize = 4;

/// Reads on one connection.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Connection,
    page: &'static str,
    list: &'static str,
}

impl Reader {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let (page, list) = (statement(PAGE)?.sqlite(), statement(LIST)?.sqlite());
        Ok(Self { connection: connect(path)?, page, list })
    }

    /// The newest `limit` messages, and one more to see whether there are older ones.
    pub(crate) fn page(
        &self,
        owner: UserId,
        conversation: ConversationId,
        limit: Limit,
    ) -> Result<usize, Error> {
        let mut select = self.connection.prepare_cached(self.page)?;
        let (owner, conversation) = (owner.uuid(), conversation.uuid());
        let values =
            params![owner.as_bytes(), conversation.as_bytes(), 0_i64, i64::MAX, limit.with_lookahead()];
        let rows: Vec<BareMessage> =
            select.query_map(values, BareMessage::from_sqlite)?.collect::<rusqlite::Result<_>>()?;
        Ok(black_box(rows).len())
    }

    /// The `limit` most recent conversations of a user, and one more.
    pub(crate) fn list(&self, user: UserId, limit: Limit) -> Result<usize, Error> {
        let mut select = self.connection.prepare_cached(self.list)?;
        let (user, last) = (user.uuid(), Uuid::max());
        let values = params![
            user.as_bytes(),
            Timestamp::MAX.as_microseconds(),
            last.as_bytes(),
            limit.with_lookahead(),
            limit.with_lookahead(),
            0_i64
        ];
        let rows: Vec<BareConversation> =
            select.query_map(values, BareConversation::from_sqlite)?.collect::<rusqlite::Result<_>>()?;
        Ok(black_box(rows).len())
    }
}

/// A few readers, each used by one task at a time and on that task's thread.
#[derive(Debug)]
pub(crate) struct ReaderPool {
    permits: Semaphore,
    idle: Mutex<Vec<Reader>>,
}

impl ReaderPool {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let idle = (0..POOL).map(|_| Reader::open(path)).collect::<Result<_, _>>()?;
        Ok(Self { permits: Semaphore::new(POOL), idle: Mutex::new(idle) })
    }

    /// Runs `work` on this thread, with a reader of its own.
    pub(crate) async fn with<T>(&self, work: impl FnOnce(&Reader) -> Result<T, Error>) -> Result<T, Error> {
        let _permit = self.permits.acquire().await?;
        self.take_and_run(work)
    }

    /// Runs `work` on a thread for blocking work.
    pub(crate) async fn with_blocking<T, W>(self: Arc<Self>, work: W) -> Result<T, Error>
    where
        W: FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let _permit = self.permits.acquire().await?;
        let pool = Arc::clone(&self);
        tokio::task::spawn_blocking(move || pool.take_and_run(work)).await?
    }

    /// Only with a permit.
    fn take_and_run<T>(&self, work: impl FnOnce(&Reader) -> Result<T, Error>) -> Result<T, Error> {
        let reader = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = reader.ok_or("more permits than readers")?;
        let result = work(&reader);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        result
    }
}
