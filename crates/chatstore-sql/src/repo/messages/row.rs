//! A message as it is stored.

use chatstore_model::{Message, MessageRole};

use crate::db::{Row, Value};
use crate::error::StoreError;
use crate::schema::{Columns, MESSAGES};

pub(super) const COLUMNS: &str = MESSAGES.all_columns().names().as_str();

/// A message is not edited when it is inserted.
pub(super) const INSERTED: Columns = MESSAGES.columns_without(&["edited_at"]);

/// A message without its effective model, which other rows decide and which is empty here, and with a
/// sender only where one is stored: for members alone, so that ordinary appends do not pay for its index.
#[derive(Debug)]
pub(super) struct MessageRow(pub(super) Message);

impl MessageRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self(Message {
            owner_id: row.next()?,
            conversation_id: row.next()?,
            seq: row.next()?,
            id: row.next()?,
            sender_id: row.next()?,
            role: row.next()?,
            content: row.next()?,
            parts: row.next()?,
            model: row.next()?,
            effective_model: String::new(),
            token_count: row.next()?,
            used_documents: row.next()?,
            metadata: row.next()?,
            created_at: row.next()?,
            edited_at: row.next()?,
        }))
    }

    pub(super) fn insert_values(&self) -> [Value<'_>; INSERTED.count()] {
        let message = &self.0;
        [
            message.owner_id.into(),
            message.conversation_id.into(),
            message.seq.into(),
            message.id.into(),
            message.sender_id.into(),
            message.role.as_str().into(),
            (&message.content).into(),
            message.parts.as_ref().into(),
            message.model.as_ref().into(),
            message.token_count.into(),
            (&message.used_documents).into(),
            (&message.metadata).into(),
            message.created_at.into(),
        ]
    }

    /// Whether the model of the question counts for it.
    pub(super) fn is_answer_of_unknown_model(&self) -> bool {
        self.0.role == MessageRole::Assistant && self.0.model.is_none()
    }

    pub(super) fn into_message(self, effective_model: String) -> Message {
        let mut message = self.0;
        message.effective_model = effective_model;
        message.sender_id = match message.role {
            MessageRole::User => Some(message.sender_id.unwrap_or(message.owner_id)),
            _ => None,
        };
        message
    }
}
