//! Editing and deleting messages; the conversation is bumped in the same transaction.

use chatstore_model::{
    Change, ConversationId, IntoValid, Message, MessageId, MessagePatch, Timestamp, UserId,
};
use constcat::concat;

use super::row::{COLUMNS, read};
use super::tree::read_deleted;
use super::{Messages, NOT_FOUND};
use crate::db::Sql;
use crate::error::StoreError;
use crate::repo::Via;
use crate::repo::conversations::{self, Changed};
use crate::repo::live::{live_conversation, live_sender};
use crate::tx::ReadWrite;

const EDIT: Sql = Sql::same(
    "messages.edit",
    concat!(
        "update messages set content = coalesce($1, content), \
         parts = case when $2 then $3 else parts end, \
         model = case when $4 then $5 else model end, \
         token_count = case when $6 then $7 else token_count end, \
         used_documents = coalesce($8, used_documents), \
         metadata = coalesce($9, metadata), \
         format = case when $10 then $11 else format end, \
         edited_at = $12 \
         where owner_id = $13 and conversation_id = $14 and id = $15 and ",
        live_conversation!("$13", "$14"),
        " and ",
        live_sender!("sender_id"),
        " returning ",
        COLUMNS
    ),
);

const DELETE: Sql = Sql::same(
    "messages.delete",
    concat!(
        "delete from messages where owner_id = $1 and conversation_id = $2 and id = $3 and ",
        live_conversation!("$1", "$2"),
        " and ",
        live_sender!("sender_id"),
        " returning seq, parent_seq"
    ),
);

pub(super) const STATEMENTS: &[Sql] = &[EDIT, DELETE];

impl Messages<'_, '_, ReadWrite> {
    /// Changes a message; the preview follows when it is the head. An empty patch changes
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for conversation or message; [`StoreError::Invalid`].
    pub async fn edit(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        id: MessageId,
        patch: impl IntoValid<&MessagePatch>,
    ) -> Result<Message, StoreError> {
        let patch = *patch.into_valid()?;
        if patch.is_empty() {
            return self.get(Via::Owner(owner), conversation, id).await?.ok_or(NOT_FOUND);
        }
        let now = self.0.now();
        let changed = self.bump(owner, conversation, 0, now).await?;
        let followed = self.text_that_follows(owner, conversation, id, patch).await?;
        let values = [
            patch.content.as_ref().or(followed.as_ref()).into(),
            (!patch.parts.is_keep()).into(),
            patch.parts.value().into(),
            (!patch.model.is_keep()).into(),
            patch.model.value().into(),
            (!patch.token_count.is_keep()).into(),
            patch.token_count.value().copied().into(),
            patch.used_documents.as_ref().into(),
            patch.metadata.as_ref().into(),
            (!patch.format.is_keep()).into(),
            patch.format.value().into(),
            now.into(),
            owner.into(),
            conversation.into(),
            id.into(),
        ];
        let edited = self.0.executor.query_changed(&EDIT, &values, read).await?;
        let edited = self.with_model(edited.ok_or(NOT_FOUND)?, changed.default_model.as_deref()).await?;
        match changed.head_seq {
            None => self.0.conversations().repair_preview(owner, conversation, edited.seq).await?,
            Some(head) if head == edited.seq => {
                self.0.conversations().move_head(owner, conversation, head).await?;
            }
            Some(_) => {}
        }
        Ok(edited)
    }

    /// The text of new parts, when the old text was that of the old parts and the patch names none. The conversation is
    /// locked.
    async fn text_that_follows(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        id: MessageId,
        patch: &MessagePatch,
    ) -> Result<Option<String>, StoreError> {
        let (Change::Set(parts), None) = (&patch.parts, &patch.content) else { return Ok(None) };
        let Some(old) = self.get(Via::Owner(owner), conversation, id).await? else { return Ok(None) };
        let is_that_of_parts = old.parts.is_some_and(|parts| parts.text_of_parts() == old.content);
        Ok(is_that_of_parts.then(|| parts.text_of_parts()))
    }

    /// Deletes a message with its response; count and preview are repaired, its number is not used
    /// again, usage stays. What followed it follows what it followed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for conversation or message.
    pub async fn delete(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<(), StoreError> {
        if self.get(Via::Owner(owner), conversation, id).await?.is_none() {
            return Err(NOT_FOUND);
        }
        let now = self.0.now();
        let changed = self.bump(owner, conversation, 1, now).await?;
        let values = [owner.into(), conversation.into(), id.into()];
        let deleted = self.0.executor.query_changed(&DELETE, &values, read_deleted).await?;
        let deleted = deleted.ok_or(NOT_FOUND)?;
        self.repair(owner, conversation, changed.head_seq, deleted.seq, &[deleted]).await
    }

    /// Notes a change of messages, of which some are removed.
    pub(super) async fn bump(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        removed: i64,
        now: Timestamp,
    ) -> Result<Changed, StoreError> {
        let changed = self.0.conversations().bump_for_change(owner, conversation, removed, now).await?;
        changed.ok_or(conversations::NOT_FOUND)
    }
}
