//! Editing and deleting messages; the conversation's head is repaired in the same transaction.

use chatstore_model::{ConversationId, IntoValid, Message, MessageId, MessagePatch, Timestamp, UserId};
use constcat::concat;

use crate::db::Sql;
use crate::error::StoreError;
use crate::repo::By;
use crate::repo::messages::{COLUMNS, Messages, NO_CONVERSATION, read};
use crate::tx::ReadWrite;

/// Locks the head, so that changes of one conversation follow each other. The count does not go
/// below zero, so that of two who delete the last message the second finds it gone.
const TOUCH_HEAD: Sql = Sql::same(
    "messages.touch_head",
    "update conversations set \
     message_count = case when message_count < $1 then 0 else message_count - $1 end, revision = revision + 1, \
     updated_at = case when updated_at > $2 then updated_at else $2 end \
     where owner_id = $3 and id = $4 returning default_model",
);

const EDIT: Sql = Sql::same(
    "messages.edit",
    concat!(
        "update messages set content = coalesce($1, content), \
         parts = case when $2 then $3 else parts end, \
         model = case when $4 then $5 else model end, \
         token_count = case when $6 then $7 else token_count end, \
         used_documents = coalesce($8, used_documents), \
         metadata = coalesce($9, metadata), \
         edited_at = $10 \
         where owner_id = $11 and conversation_id = $12 and id = $13 returning ",
        COLUMNS
    ),
);

const DELETE: Sql = Sql::same(
    "messages.delete",
    "delete from messages where owner_id = $1 and conversation_id = $2 and id = $3 returning seq",
);

const IS_NEWEST: Sql = Sql::same(
    "messages.is_newest",
    "select not exists ( \
       select 1 from messages where owner_id = $1 and conversation_id = $2 and seq > $3)",
);

/// 200 is `chatstore_model::PREVIEW_CHARACTERS`; both databases count characters, not bytes.
const WRITE_PREVIEW: Sql = Sql::same(
    "messages.write_preview",
    "update conversations set (last_message, last_message_at) = ( \
       select substr(content, 1, 200), created_at from messages \
       where owner_id = $1 and conversation_id = $2 order by seq desc limit 1) \
     where owner_id = $1 and id = $2",
);

pub(super) const STATEMENTS: &[Sql] = &[TOUCH_HEAD, EDIT, DELETE, IS_NEWEST, WRITE_PREVIEW];

const NOT_FOUND: StoreError = StoreError::NotFound { entity: "message" };

impl Messages<'_, '_, ReadWrite> {
    /// Changes a message; the preview follows when it is the newest. An empty patch changes
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
            return self.get(By::Owner(owner), conversation, id).await?.ok_or(NOT_FOUND);
        }
        let now = self.0.now();
        let default_model = self.touch_head(owner, conversation, 0, now).await?;
        let values = [
            patch.content.as_ref().into(),
            (!patch.parts.is_keep()).into(),
            patch.parts.value().into(),
            (!patch.model.is_keep()).into(),
            patch.model.value().into(),
            (!patch.token_count.is_keep()).into(),
            patch.token_count.value().copied().into(),
            patch.used_documents.as_ref().into(),
            patch.metadata.as_ref().into(),
            now.into(),
            owner.into(),
            conversation.into(),
            id.into(),
        ];
        let mut edited = self.0.executor.query_changed(&EDIT, &values, read).await?.ok_or(NOT_FOUND)?;
        self.find_models(std::slice::from_mut(&mut edited), default_model.as_deref()).await?;
        self.repair_preview(owner, conversation, edited.seq).await?;
        Ok(edited)
    }

    /// Deletes a message with its response; count and preview are repaired, its number is not used
    /// again, usage stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for conversation or message.
    pub async fn delete(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<(), StoreError> {
        if self.get(By::Owner(owner), conversation, id).await?.is_none() {
            return Err(NOT_FOUND);
        }
        let now = self.0.now();
        self.touch_head(owner, conversation, 1, now).await?;
        let values = [owner.into(), conversation.into(), id.into()];
        let deleted = self.0.executor.query_changed(&DELETE, &values, |row| row.get(0)).await?;
        let seq: i64 = deleted.ok_or(NOT_FOUND)?;
        self.repair_preview(owner, conversation, seq).await
    }

    /// The conversation's default model.
    async fn touch_head(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        removed: i64,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let values = [removed.into(), now.into(), owner.into(), conversation.into()];
        let touched = self.0.executor.query_changed(&TOUCH_HEAD, &values, |row| row.get(0)).await?;
        touched.ok_or(NO_CONVERSATION)
    }

    /// Shows the newest message in the head, or nothing when there is none, unless others follow the
    /// one that was changed or deleted.
    pub(super) async fn repair_preview(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        changed: i64,
    ) -> Result<(), StoreError> {
        let values = [owner.into(), conversation.into(), changed.into()];
        if self.0.executor.query_one(&IS_NEWEST, &values, |row| row.get(0)).await? {
            self.0.executor.execute(&WRITE_PREVIEW, &[owner.into(), conversation.into()]).await?;
        }
        Ok(())
    }
}
