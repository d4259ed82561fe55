//! The row of a conversation whose messages are a tree: its head, and what the head shows.

use chatstore_model::fields::HEAD;
use chatstore_model::{
    Conversation, ConversationId, FieldCode, Invalid, NewHead, Timestamp, UserId, preview,
};
use constcat::concat;

use super::{Conversations, NOT_FOUND};
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::Via;
use crate::repo::live::{live_sender, live_user};
use crate::tx::ReadWrite;

const LOCK: Sql = Sql::pair("conversations.lock_tree", LOCKED, concat!(LOCKED, " for no key update"));
const LOCKED: &str = concat!(
    "select revision, last_seq, head_seq, default_model from conversations \
     where owner_id = $1 and id = $2 and deleted_at is null and ",
    live_user!("$1")
);

/// Takes `$6` numbers at once, and shows the message that becomes the head, if one does.
const GROW: Sql = Sql::same(
    "conversations.grow_tree",
    concat!(
        "update conversations set last_message = case when $1 then $2 else last_message end, \
         last_message_at = case when $1 then $3 else last_message_at end, head_seq = $4, revision = revision + 1, ",
        forward!("updated_at", "$5"),
        ", last_seq = last_seq + $6, message_count = message_count + $6 \
         where owner_id = $7 and id = $8 and deleted_at is null and ",
        live_user!("$7"),
        " returning revision"
    ),
);

const MOVE_HEAD: Sql = Sql::same(
    "conversations.move_head",
    concat!(
        "update conversations set head_seq = $1, (last_message, last_message_at) = ( \
         select substr(content, 1, 200), created_at from (select content, created_at, sender_id from messages \
         where owner_id = $2 and conversation_id = $3 and seq = $1) as head where ",
        live_sender!("sender_id"),
        ") where owner_id = $2 and id = $3 and deleted_at is null and ",
        live_user!("$2")
    ),
);

pub(super) const STATEMENTS: &[Sql] = &[LOCK, GROW, MOVE_HEAD];

/// What is known of a conversation whose messages no other transaction changes before this one ends.
#[derive(Debug)]
pub(in crate::repo) struct LockedTree {
    /// The highest number that was given to a message.
    pub(in crate::repo) last_seq: i64,
    /// The number of the head, 0 for none; `None` while the conversation never branched.
    pub(in crate::repo) head_seq: Option<i64>,
    pub(in crate::repo) default_model: Option<String>,
}

/// What messages that are appended make of the row.
pub(in crate::repo) struct Growth<'m> {
    /// How many there are.
    pub(in crate::repo) count: i64,
    /// The head afterwards.
    pub(in crate::repo) head_seq: Option<i64>,
    /// The text and the time of the message that becomes the head.
    pub(in crate::repo) shown: Option<(&'m str, Timestamp)>,
    /// When the conversation was last used.
    pub(in crate::repo) at: Timestamp,
}

impl Conversations<'_, '_, ReadWrite> {
    /// Keeps other transactions from changing the messages of a conversation.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub(in crate::repo) async fn lock_tree(
        &mut self,
        owner: UserId,
        id: ConversationId,
    ) -> Result<LockedTree, StoreError> {
        let read = |row: &Row<'_>| {
            let revision: i64 = row.next()?;
            let tree =
                LockedTree { last_seq: row.next()?, head_seq: row.next()?, default_model: row.next()? };
            Ok((revision, tree))
        };
        let locked = self.0.executor.query_first(&LOCK, &[owner.into(), id.into()], read).await?;
        let (revision, tree) = locked.ok_or(NOT_FOUND)?;
        self.0.note_revision(revision);
        Ok(tree)
    }

    /// Takes numbers for messages of a locked conversation.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub(in crate::repo) async fn grow_tree(
        &mut self,
        owner: UserId,
        id: ConversationId,
        growth: Growth<'_>,
    ) -> Result<(), StoreError> {
        let Growth { count, head_seq, shown, at } = growth;
        let (content, created_at) = shown.unzip();
        let values: [Value<'_>; 8] = [
            shown.is_some().into(),
            content.map(preview).into(),
            created_at.into(),
            head_seq.into(),
            at.into(),
            count.into(),
            owner.into(),
            id.into(),
        ];
        let revision: Option<i64> = self.0.executor.query_changed(&GROW, &values, |row| row.next()).await?;
        self.0.note_revision(revision.ok_or(NOT_FOUND)?);
        Ok(())
    }

    /// The number of another head of a conversation, which is locked; `None` when it is the head already of one that never
    /// branched.
    pub(super) async fn find_head(
        &mut self,
        owner: UserId,
        id: ConversationId,
        head: &NewHead,
    ) -> Result<Option<i64>, StoreError> {
        let tree = self.lock_tree(owner, id).await?;
        let found = self.0.messages().new_head(owner, id, head).await?;
        let found = found.ok_or_else(|| {
            Invalid::field(HEAD.name, FieldCode::NotAllowed, "must be a message of this conversation")
        })?;
        let is_newest =
            tree.head_seq.is_none() && self.0.messages().nearest_below(owner, id, i64::MAX).await? == found;
        Ok((!is_newest).then_some(found))
    }

    /// Makes a message the head, and shows it.
    pub(super) async fn switch_head(
        &mut self,
        owner: UserId,
        id: ConversationId,
        head_seq: i64,
    ) -> Result<Conversation, StoreError> {
        self.move_head(owner, id, head_seq).await?;
        let found = self.get(Via::Owner(owner), id).await?;
        found.map(|(conversation, _)| conversation).ok_or(NOT_FOUND)
    }

    /// Makes a message the head of a locked conversation, 0 for none, and shows it; its revision stays.
    ///
    /// # Errors
    /// What the database reports.
    pub(in crate::repo) async fn move_head(
        &mut self,
        owner: UserId,
        id: ConversationId,
        head_seq: i64,
    ) -> Result<(), StoreError> {
        self.0.executor.execute(&MOVE_HEAD, &[head_seq.into(), owner.into(), id.into()]).await?;
        Ok(())
    }
}
