//! Copies of conversations, made in pieces inside of the database.
//!
//! A copy that is being made is a conversation with the mark of deletion, set to a later time: no statement with the
//! conditions of [`live`](super::live) finds it, and the sweep leaves it alone until then. Every piece sets the mark
//! anew; the last step takes it away.

mod piece;
mod plan;

use chatstore_model::{Conversation, ConversationId, Timestamp, UserId};
use constcat::concat;

use crate::db::Sql;
use crate::error::StoreError;
use crate::repo::Via;
use crate::repo::conversations;
use crate::repo::live::live_user;
use crate::schema::{CONVERSATIONS, Columns};
use crate::tx::ReadWrite;

pub use piece::{CopiedMessages, CopyProgress};
pub use plan::CopyPlan;
use plan::Numbering;

/// How long a copy is left alone after its last piece, in microseconds: 10 minutes.
const LEASE: i64 = 10 * 60 * 1_000_000;

/// How much of that must be left to go on with it, so that clocks of several servers may differ by as much.
const MARGIN: i64 = LEASE / 2;

/// Beside them it has the columns that its last step sets.
const BEGUN: Columns = CONVERSATIONS.columns_without(&[
    "thread_id",
    "title",
    "default_model",
    "last_message",
    "last_message_at",
    "archived_at",
    "head_seq",
]);

const EMPTY: &[(&str, &str)] = &[
    ("last_seq", "0"),
    ("message_count", "0"),
    ("revision", "1"),
    ("metadata", "'{}'"),
    ("created_at", "$3"),
    ("updated_at", "$3"),
    ("deleted_at", "$4"),
];

/// Nothing, when there is no such owner.
const BEGIN: Sql = Sql::same(
    "copies.begin",
    concat!(
        BEGUN.insert_into().as_str(),
        " select ",
        BEGUN.values(1, EMPTY).as_str(),
        " from users u where u.id = $1 and u.deleted_at is null"
    ),
);

const RENEW: Sql = Sql::same(
    "copies.renew",
    concat!(
        "update conversations set deleted_at = $1 where owner_id = $2 and id = $3 and deleted_at > $4 and ",
        live_user!("$2")
    ),
);

const GIVE_UP: Sql = Sql::same(
    "copies.give_up",
    "update conversations set deleted_at = $1 where owner_id = $2 and id = $3 and deleted_at > $1",
);

const COMPLETE: Sql = Sql::same(
    "copies.complete",
    concat!(
        "update conversations set deleted_at = null, thread_id = $1, last_seq = $2, message_count = $3, \
         head_seq = $4, created_at = $5, updated_at = $5, (title, default_model, metadata) = ( \
         select source.title, source.default_model, source.metadata from conversations source \
         where source.owner_id = $6 and source.id = $7 and source.deleted_at is null and ",
        live_user!("$6"),
        ") where owner_id = $8 and id = $9 and deleted_at > $10 and ",
        live_user!("$8")
    ),
);

const HAS_MESSAGE: Sql = Sql::same(
    "copies.has_message",
    "select exists (select 1 from messages where owner_id = $1 and conversation_id = $2 and seq = $3)",
);

const HEAD_OF_SOURCE: Sql = Sql::same(
    "copies.head_of_source",
    concat!(
        "select head_seq from conversations where owner_id = $1 and id = $2 and deleted_at is null and ",
        live_user!("$1")
    ),
);

pub(super) const STATEMENTS: &[&[Sql]] = &[OWN_STATEMENTS, piece::STATEMENTS, plan::STATEMENTS];

const OWN_STATEMENTS: &[Sql] = &[BEGIN, RENEW, GIVE_UP, COMPLETE, HAS_MESSAGE, HEAD_OF_SOURCE];

repository! {
    /// Copies of conversations, which no other statement finds until they are whole.
    Copies, copies
}

impl Copies<'_, '_, ReadWrite> {
    /// Begins a copy of the owner's, without messages. For 10 minutes no sweep takes it.
    ///
    /// # Errors
    /// [`StoreError::MissingReference`] when there is no such owner.
    pub async fn begin(&mut self, owner: UserId, id: ConversationId) -> Result<(), StoreError> {
        let now = self.0.now();
        let values = [owner.into(), id.into(), now.into(), now.plus_microseconds(LEASE).into()];
        match self.0.executor.execute(&BEGIN, &values).await? {
            0 => Err(StoreError::MissingReference { entity: CONVERSATIONS.entity }),
            _ => Ok(()),
        }
    }

    /// Makes a copy visible as it is, with title, default model and metadata of its source; its preview is that of its
    /// head. `None` when it is given up, or its time was over.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the source is gone; [`StoreError::AlreadyExists`] with field `thread_id`.
    pub async fn complete(
        &mut self,
        plan: &CopyPlan,
        owner: UserId,
        id: ConversationId,
        progress: &CopyProgress,
        thread_id: Option<&str>,
    ) -> Result<Option<Conversation>, StoreError> {
        let (source_owner, source) = plan.source();
        self.0.conversations().lock(source_owner, source).await?;
        self.refuse_taken_thread(owner, thread_id).await?;
        let (last_seq, head_seq) = match plan.numbering() {
            Numbering::Anew => (progress.count(), None),
            Numbering::Kept { last_seq, head_seq: None } => (last_seq, None),
            Numbering::Kept { last_seq, head_seq: Some(head) } => {
                (last_seq, Some(self.head_of(plan, owner, id, progress, head).await?))
            }
        };
        let now = self.0.now();
        let values = [
            thread_id.into(),
            last_seq.into(),
            progress.count().into(),
            head_seq.into(),
            now.into(),
            source_owner.into(),
            source.into(),
            owner.into(),
            id.into(),
            now.plus_microseconds(MARGIN).into(),
        ];
        if self.0.executor.execute(&COMPLETE, &values).await? == 0 {
            return Ok(None);
        }
        match head_seq {
            Some(head_seq) => self.0.conversations().move_head(owner, id, head_seq).await?,
            None => self.0.conversations().repair_preview(owner, id, i64::MAX).await?,
        }
        let found = self.0.conversations().get(Via::Owner(owner), id).await?;
        found.map(|(copy, _)| Some(copy)).ok_or(conversations::NOT_FOUND)
    }

    /// Leaves a copy that is being made to the sweep; whether there was one. Nothing happens to a conversation.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn give_up(&mut self, owner: UserId, id: ConversationId) -> Result<bool, StoreError> {
        let values = [self.0.now().into(), owner.into(), id.into()];
        Ok(self.0.executor.execute(&GIVE_UP, &values).await? > 0)
    }

    /// Keeps others from the copy for another 10 minutes; whether it is still being made.
    async fn renew(&mut self, owner: UserId, id: ConversationId) -> Result<bool, StoreError> {
        let now: Timestamp = self.0.now();
        let values = [
            now.plus_microseconds(LEASE).into(),
            owner.into(),
            id.into(),
            now.plus_microseconds(MARGIN).into(),
        ];
        Ok(self.0.executor.execute(&RENEW, &values).await? > 0)
    }

    /// The head that the source had, or else the nearest that is left.
    async fn head_of(
        &mut self,
        plan: &CopyPlan,
        owner: UserId,
        id: ConversationId,
        progress: &CopyProgress,
        head: i64,
    ) -> Result<i64, StoreError> {
        let (source_owner, source) = plan.source();
        let values = [source_owner.into(), source.into()];
        let now: Option<Option<i64>> =
            self.0.executor.query_first(&HEAD_OF_SOURCE, &values, |row| row.next()).await?;
        for seq in [progress.kept(head), now.flatten().unwrap_or(0)] {
            let values = [owner.into(), id.into(), seq.into()];
            if self.0.executor.query_one(&HAS_MESSAGE, &values, |row| row.next()).await? {
                return Ok(seq);
            }
        }
        self.0.messages().nearest_below(owner, id, i64::MAX).await
    }
}

impl<M> Copies<'_, '_, M> {
    /// Fails when a conversation of the owner has this thread id.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`]; [`StoreError::Invalid`] for an id with NUL.
    pub async fn refuse_taken_thread(
        &mut self,
        owner: UserId,
        thread_id: Option<&str>,
    ) -> Result<(), StoreError> {
        let Some(thread_id) = thread_id else { return Ok(()) };
        match self.0.conversations().find_by_thread(owner, thread_id).await? {
            Some(_) => Err(StoreError::AlreadyExists { entity: CONVERSATIONS.entity, field: "thread_id" }),
            None => Ok(()),
        }
    }
}
