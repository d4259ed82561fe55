//! Messages that were removed, as an idempotency key remembers them.

use chatstore_model::{
    CanonicalJson, ConversationId, Message, MessageId, MessageRole, Timestamp, UserId, VerbatimJson,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::idempotency_key::damaged;
use crate::error::{Error, Result};

/// Maximum bytes of removed messages that are remembered.
const MAX_BYTES: usize = 1024 * 1024;

/// A message without what is known from where it was. JSON is held as a text, so that it stays as it is.
#[derive(Debug, Serialize, Deserialize)]
struct RemovedMessage {
    seq: i64,
    id: MessageId,
    sender_id: Option<UserId>,
    role: String,
    content: String,
    parts: Option<String>,
    model: Option<String>,
    effective_model: String,
    token_count: Option<i64>,
    used_documents: String,
    metadata: String,
    created_at: Timestamp,
    edited_at: Option<Timestamp>,
    format: Option<String>,
    external_id: Option<String>,
    #[serde(default)]
    parent_seq: Option<i64>,
}

/// What is remembered of removed messages: the messages, unless they are too large.
pub(super) fn to_result(messages: &[Message]) -> Result<Value> {
    let removed: Vec<RemovedMessage> = messages.iter().map(remembered).collect();
    let text = serde_json::to_string(&removed).map_err(|error| damaged(&error.to_string()))?;
    if text.len() > MAX_BYTES {
        return Ok(json!({ "removed": null }));
    }
    let removed = serde_json::to_value(removed).map_err(|error| damaged(&error.to_string()))?;
    Ok(json!({ "removed": removed }))
}

/// The messages that are remembered.
pub(super) fn from_result(
    result: &Value,
    owner: UserId,
    conversation: ConversationId,
) -> Result<Vec<Message>> {
    if result["removed"].is_null() {
        return Err(Error::conflict(
            "what the first request with this idempotency key removed is too large to be kept",
        ));
    }
    let removed = Vec::<RemovedMessage>::deserialize(&result["removed"]);
    let removed = removed.map_err(|error| damaged(&error.to_string()))?;
    removed.into_iter().map(|one| message(one, owner, conversation)).collect()
}

fn remembered(message: &Message) -> RemovedMessage {
    let Message {
        owner_id: _,
        conversation_id: _,
        seq,
        id,
        sender_id,
        role,
        content,
        parts,
        model,
        effective_model,
        token_count,
        used_documents,
        metadata,
        created_at,
        edited_at,
        format,
        external_id,
        parent_seq,
    } = message.clone();
    RemovedMessage {
        seq,
        id,
        sender_id,
        role: role.as_str().to_owned(),
        content,
        parts: parts.map(|json| json.to_string()),
        model,
        effective_model,
        token_count,
        used_documents: used_documents.to_string(),
        metadata: metadata.to_string(),
        created_at,
        edited_at,
        format,
        external_id,
        parent_seq,
    }
}

fn message(removed: RemovedMessage, owner: UserId, conversation: ConversationId) -> Result<Message> {
    let json = |text: &str| CanonicalJson::parse(text).map_err(|error| damaged(&error.to_string()));
    let parts = removed.parts.map(VerbatimJson::parse);
    Ok(Message {
        owner_id: owner,
        conversation_id: conversation,
        seq: removed.seq,
        id: removed.id,
        sender_id: removed.sender_id,
        role: MessageRole::parse(&removed.role).ok_or_else(|| damaged("it names an unknown role"))?,
        content: removed.content,
        parts: parts.transpose().map_err(|error| damaged(&error.to_string()))?,
        model: removed.model,
        effective_model: removed.effective_model,
        token_count: removed.token_count,
        used_documents: json(&removed.used_documents)?,
        metadata: json(&removed.metadata)?,
        created_at: removed.created_at,
        edited_at: removed.edited_at,
        format: removed.format,
        external_id: removed.external_id,
        parent_seq: removed.parent_seq,
    })
}
