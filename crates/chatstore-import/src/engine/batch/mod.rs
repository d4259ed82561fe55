//! Batches: rows that are decided about, and written, in one transaction.
//!
//! What is stored is looked up, then a function without a transaction decides, then the decision is applied.
//! In a dry run applying remembers it instead.

mod chunk;
mod conversations;
mod decision;
mod messages;
mod users;

use chatstore_sql::{ReadOnly, ReadWrite, StoreError, Tx};

use super::dry_run::BatchState;
use super::write::Write;

pub(super) use chunk::ChunkBatch;
pub(super) use decision::{ChunkEnd, ConversationChunk};
pub(super) use users::UserBatch;

/// What comes of work in a transaction.
pub(crate) type StoreResult<T> = Result<T, StoreError>;

/// Rows that are decided about in one transaction.
pub(crate) trait Batch: Send + Sync + 'static {
    /// The transaction's name in logs and metrics.
    const NAME: &'static str;
    /// What became of the rows.
    type Outcome: Send + 'static;

    /// Decides about the rows and applies it. It may run again after a conflict.
    async fn decide<M: Mode>(&self, tx: &mut Tx<'_, M>, state: &mut BatchState)
    -> StoreResult<Self::Outcome>;

    /// The outcome with the state after it.
    async fn run<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        mut state: BatchState,
    ) -> StoreResult<(Self::Outcome, BatchState)> {
        let outcome = self.decide(tx, &mut state).await?;
        Ok((outcome, state))
    }
}

/// Whether changes are written.
pub(crate) trait Mode: Sized + 'static {
    async fn apply(tx: &mut Tx<'_, Self>, state: &mut BatchState, write: Write<'_>) -> StoreResult<()>;
}

/// A dry run.
impl Mode for ReadOnly {
    async fn apply(_tx: &mut Tx<'_, Self>, state: &mut BatchState, write: Write<'_>) -> StoreResult<()> {
        state.now.record(write);
        Ok(())
    }
}

impl Mode for ReadWrite {
    async fn apply(tx: &mut Tx<'_, Self>, _state: &mut BatchState, write: Write<'_>) -> StoreResult<()> {
        match write {
            Write::User(new) => tx.users().create(new).await.map(drop),
            Write::Conversation(owner, new, _) => tx.conversations().create(owner, new).await.map(drop),
            Write::Messages(owner, id, new) => tx.messages().append_many(owner, id, &[], new).await.map(drop),
            Write::Responses(owner, new) => tx.messages().attach_responses(owner, new).await,
        }
    }
}
