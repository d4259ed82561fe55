//! What is marked is deleted piece by piece: in a task of the process that marked it, and wherever it is in the way.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chatstore_model::{ConversationId, MessageId, UserId};
use chatstore_sql::{Deletion, Marked, MarkedCounts, ReadTx, StoreError, Swept};
use tokio::runtime::Handle;

use super::Operations;
use crate::error::{Error, Result};
use crate::store::Store;

/// How long a request works on a deletion that is in its way.
const IN_THE_WAY: Duration = Duration::from_secs(2);

/// Marked objects that are looked for at once.
const LISTED: i64 = 100;

impl Store {
    /// Goes on with a deletion in a task of its own, if something is left of it.
    pub(crate) fn go_on(&self, deletion: Deletion) {
        // Outside of a runtime nothing can wait for the database: what is marked waits for the next sweep.
        let Ok(runtime) = Handle::try_current() else { return };
        if deletion == Deletion::Done || self.sweeper.is_waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let store = self.clone();
        runtime.spawn(async move {
            match store.operations().finish_deletions().await {
                Ok(rows) => {
                    tracing::debug!(rows, "what was deleted is gone");
                    store.empty_log().await;
                }
                // The store may be closed: the next server on this database goes on.
                Err(error) => tracing::info!(error.cause = %error, "a deletion was interrupted"),
            }
        });
    }

    /// Moves an erasure into SQLite's file, where it overwrites what was erased, in a task of its own.
    pub(crate) fn empty_log_beside(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let store = self.clone();
        runtime.spawn(async move { store.empty_log().await });
    }

    async fn empty_log(&self) {
        if let Err(error) = self.database.empty_log().await {
            tracing::info!(error.cause = %error, "what was erased is in the file until the log is next emptied");
        }
    }

    /// Attempts a write, again after deleting what is being deleted and holds an id that the write takes: the object with
    /// that id, or the conversation that still has one of the `messages`. Fails with `BeingDeleted` when that takes more
    /// than 2 seconds.
    pub(crate) async fn past_deletions<T, F>(
        &self,
        messages: NewMessageIds,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let begun = Instant::now();
        loop {
            match attempt().await {
                // In a box, because this is rare, and the futures of requests are deep enough without it.
                Err(error) => Box::pin(self.make_way(error, &messages, begun)).await?,
                done => return done,
            }
        }
    }

    /// Deletes what made a write that began at `begun` fail, else fails like it.
    async fn make_way(&self, error: Error, messages: &NewMessageIds, begun: Instant) -> Result<()> {
        let marked = match error.being_deleted() {
            None if error.is_taken_message() => self.holder(messages).await?,
            marked => marked,
        };
        let Some(marked) = marked else { return Err(error) };
        let mut sweep = self.database.sweep(marked);
        while begun.elapsed() < IN_THE_WAY {
            if sweep.next().await? == Swept::Gone {
                return Ok(());
            }
        }
        self.go_on(Deletion::Marked(marked));
        Err(StoreError::BeingDeleted(marked).into())
    }

    /// The conversation that is being deleted and still has a message with one of these ids.
    async fn holder(&self, messages: &NewMessageIds) -> Result<Option<Marked>> {
        let Some(NewMessages { user, conversation, ids }) = messages.0.clone() else { return Ok(None) };
        let find = async move |tx: &mut ReadTx<'_>| {
            let owner = match conversation {
                Some(conversation) => {
                    let access = tx.conversations().access(user, conversation).await?;
                    access.map(|access| access.owner_id)
                }
                None => Some(user),
            };
            let Some(owner) = owner else { return Ok(None) };
            for id in &ids {
                if let Some(marked) = tx.deletions().holder(owner, *id).await? {
                    return Ok(Some(marked));
                }
            }
            Ok::<_, StoreError>(None)
        };
        Ok(self.database.read("holder", find).await?)
    }
}

/// The ids that a write gives to messages of a conversation.
#[derive(Debug)]
pub(crate) struct NewMessageIds(Option<NewMessages>);

#[derive(Debug, Clone)]
struct NewMessages {
    user: UserId,
    /// One of the user's own when it is not known.
    conversation: Option<ConversationId>,
    ids: Vec<MessageId>,
}

impl NewMessageIds {
    /// Of a write that creates no messages.
    pub(crate) const NONE: Self = Self(None);

    /// The ids that `user` gives to messages of this conversation, or of one of their own.
    pub(crate) fn new(user: UserId, conversation: Option<ConversationId>, ids: Vec<MessageId>) -> Self {
        Self(Some(NewMessages { user, conversation, ids }))
    }
}

impl Operations<'_> {
    /// How much is being deleted in pieces.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn being_deleted(self) -> Result<MarkedCounts> {
        Ok(self.0.read("being_deleted", async |tx| tx.deletions().count().await).await?)
    }

    /// Deletes the rows of everything that is being deleted in pieces; how many there were. What a crash interrupted is
    /// finished by this: call it at the start of a program, and now and then. Passes over what another server is at.
    ///
    /// # Errors
    /// That the database is unavailable; what was deleted until then stays deleted.
    pub async fn finish_deletions(self) -> Result<u64> {
        let sweeper = &self.0.sweeper;
        let _turn = sweeper.running.lock().await;
        sweeper.is_waiting.store(false, Ordering::Release);
        let mut rows = 0;
        loop {
            let marked = self.0.read("marked", async |tx| tx.deletions().list(LISTED).await).await?;
            let mut has_finished = false;
            for marked in marked {
                let mut sweep = self.0.database.sweep(marked);
                loop {
                    match sweep.next().await? {
                        Swept::Rows(deleted) => rows += deleted.unsigned_abs(),
                        Swept::Busy => break,
                        Swept::Gone => {
                            has_finished = true;
                            break;
                        }
                    }
                }
            }
            if !has_finished {
                return Ok(rows);
            }
        }
    }

    /// Deletes the rows of one marked object, until none is left; `progress` is told after each piece how many were
    /// deleted so far.
    ///
    /// # Errors
    /// That the database is unavailable; what was deleted until then stays deleted.
    pub async fn finish_deletion(self, marked: Marked, mut progress: impl FnMut(u64)) -> Result<()> {
        let mut sweep = self.0.database.sweep(marked);
        let mut rows = 0;
        loop {
            match sweep.next().await? {
                Swept::Rows(deleted) => rows += deleted.unsigned_abs(),
                Swept::Busy => {}
                Swept::Gone => return Ok(()),
            }
            progress(rows);
        }
    }

    /// Messages that are left of a marked object.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn messages_left(self, marked: Marked) -> Result<u64> {
        let count = async move |tx: &mut ReadTx<'_>| tx.deletions().messages_left(marked).await;
        Ok(self.0.read("messages_left", count).await?.unsigned_abs())
    }
}
