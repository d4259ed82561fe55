//! A message as it is stored.

use chatstore_model::{
    CanonicalJson, ConversationId, Message, MessageId, MessageRole, Timestamp, UserId, VerbatimJson,
};

use crate::db::{Row, Value, reader};
use crate::error::StoreError;
use crate::schema::{Columns, MESSAGES};

pub(super) const COLUMNS: &str = MESSAGES.all_columns().names().as_str();

/// Those in which the messages of a page differ; what they follow is known or found otherwise.
pub(super) const WITHIN: Columns = MESSAGES.columns_without(&["owner_id", "conversation_id", "parent_seq"]);

/// A message is not edited when it is inserted.
pub(super) const INSERTED: Columns = MESSAGES.inserted_columns();

/// With what it follows, which most messages do not say.
pub(super) const PLACED: Columns = MESSAGES.columns_without(&["edited_at"]);

/// A message without its effective model, which other rows decide.
#[derive(Debug, Clone)]
pub(in crate::repo) struct MessageRow {
    pub(in crate::repo) owner_id: UserId,
    pub(in crate::repo) conversation_id: ConversationId,
    pub(in crate::repo) seq: i64,
    pub(in crate::repo) id: MessageId,
    /// Stored for members alone, so that ordinary appends do not pay for its index.
    pub(in crate::repo) sender_id: Option<UserId>,
    pub(in crate::repo) role: MessageRole,
    pub(in crate::repo) content: String,
    pub(in crate::repo) parts: Option<VerbatimJson>,
    pub(in crate::repo) model: Option<String>,
    pub(in crate::repo) token_count: Option<i64>,
    pub(in crate::repo) used_documents: CanonicalJson,
    pub(in crate::repo) metadata: CanonicalJson,
    pub(in crate::repo) created_at: Timestamp,
    pub(in crate::repo) edited_at: Option<Timestamp>,
    pub(in crate::repo) format: Option<String>,
    pub(in crate::repo) external_id: Option<String>,
    /// What it follows, 0 for nothing; `None` for the nearest lower number that is left.
    pub(in crate::repo) parent_seq: Option<i64>,
}

reader! {
    /// Reads [`WITHIN`].
    pub(super) fn read_within(owner_id: UserId, conversation_id: ConversationId, parent_seq: Option<i64>) -> MessageRow {
        seq, id, sender_id, role, content, parts, model, token_count, used_documents, metadata, created_at, edited_at,
        format, external_id,
    }
}

/// Reads [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> Result<MessageRow, StoreError> {
    let (owner, conversation) = (row.next()?, row.next()?);
    let message = read_within(row, owner, conversation, None)?;
    Ok(MessageRow { parent_seq: row.next()?, ..message })
}

impl MessageRow {
    pub(super) fn insert_values(&self) -> [Value<'_>; INSERTED.count()] {
        [
            self.owner_id.into(),
            self.conversation_id.into(),
            self.seq.into(),
            self.id.into(),
            self.sender_id.into(),
            self.role.as_str().into(),
            (&self.content).into(),
            self.parts.as_ref().into(),
            self.model.as_ref().into(),
            self.token_count.into(),
            (&self.used_documents).into(),
            (&self.metadata).into(),
            self.created_at.into(),
            self.format.as_ref().into(),
            self.external_id.as_ref().into(),
        ]
    }

    /// Whether it says what it follows.
    pub(super) const fn is_placed(&self) -> bool {
        self.parent_seq.is_some()
    }

    pub(super) fn placed_values(&self) -> Vec<Value<'_>> {
        let mut values = self.insert_values().to_vec();
        values.push(self.parent_seq.into());
        values
    }

    /// Whether the model of the question counts for it.
    pub(super) fn is_answer_of_unknown_model(&self) -> bool {
        self.role == MessageRole::Assistant && self.model.is_none()
    }

    pub(super) fn into_message(self, effective_model: String) -> Message {
        let sender_id = match self.role {
            MessageRole::User => Some(self.sender_id.unwrap_or(self.owner_id)),
            _ => None,
        };
        Message {
            owner_id: self.owner_id,
            conversation_id: self.conversation_id,
            seq: self.seq,
            id: self.id,
            sender_id,
            role: self.role,
            content: self.content,
            parts: self.parts,
            model: self.model,
            effective_model,
            token_count: self.token_count,
            used_documents: self.used_documents,
            metadata: self.metadata,
            created_at: self.created_at,
            edited_at: self.edited_at,
            format: self.format,
            external_id: self.external_id,
            parent_seq: self.parent_seq,
        }
    }
}

/// How many messages they are.
pub(in crate::repo) fn count_of(rows: &[MessageRow]) -> Result<i64, StoreError> {
    i64::try_from(rows.len()).map_err(|_| StoreError::InvalidState("too many messages"))
}

/// Gives messages the numbers that follow this one.
pub(in crate::repo) fn number_after(rows: &mut [MessageRow], seq: i64) {
    for (seq, row) in (seq + 1..).zip(rows) {
        row.seq = seq;
    }
}
