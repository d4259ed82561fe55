//! Messages, replies and what is known about a model's answer, as answers hold them.

use std::collections::HashMap;

use axum::response::{IntoResponse, Response};
use chatstore::{
    ConversationId, Cursor as _, Family, Message, MessageId, MessagePosition, ModelResponse, Page,
    ReferencedDocuments, Reply, Timestamp, UserId,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::{self, ListItem};
use crate::schema::{MessageRoleWord, UsedDocument};

use super::included::Including;

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message, example = json!({
    "id": "0195f1d4-6a10-7e55-a2c4-90d3b1f7c6e8", "short_id": "1BwtYBjE4gWqLhTzV9eRk2",
    "conversation_id": "0195f1d4-5d20-7c3a-9b1e-2f6d8a4c0e11", "seq": 1, "role": "user",
    "sender_id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "content": "Where is it warm in March?",
    "parts": null, "format": null, "external_id": null, "model": null, "effective_model": "large-1", "token_count": 6, "used_documents": [],
    "metadata": {}, "created_at": "2026-03-01T12:00:01.000000Z", "edited_at": null
}))]
pub(crate) struct MessageResponse {
    #[schema(value_type = String, format = "uuid")]
    id: MessageId,
    /// The id for URLs: 22 base-58 characters.
    #[schema(example = "1Bwn1eJnfNFRdQmPqyq9p1")]
    short_id: String,
    #[schema(value_type = String, format = "uuid")]
    conversation_id: ConversationId,
    /// Its number: 1, 2, 3 … without a gap but for deleted ones.
    seq: i64,
    #[schema(value_type = MessageRoleWord)]
    role: &'static str,
    /// The user who sent it; null for every role but `user`.
    #[schema(required, value_type = Option<String>, format = "uuid")]
    sender_id: Option<UserId>,
    content: String,
    /// Structured content, byte for byte as it was sent.
    #[schema(required, value_type = Option<Vec<Object>>)]
    parts: Option<chatstore::VerbatimJson>,
    /// What the parts are.
    #[schema(required)]
    format: Option<String>,
    /// The application's own id, unique in the conversation.
    #[schema(required)]
    external_id: Option<String>,
    /// The model asked for, on a person's message, or the one that answered.
    #[schema(required)]
    model: Option<String>,
    /// The model that counts for it: its own; on a model's message else that of the newest message of the role
    /// `user` before it; else the conversation's default, else the server's.
    effective_model: String,
    #[schema(required)]
    token_count: Option<i64>,
    /// Documents the message drew on: texts or objects.
    #[schema(value_type = Vec<UsedDocument>)]
    used_documents: chatstore::CanonicalJson,
    /// The application's own data.
    #[schema(value_type = Object)]
    metadata: chatstore::CanonicalJson,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(required, value_type = Option<String>, format = "date-time")]
    edited_at: Option<Timestamp>,
    /// The number of the message that it follows, 0 for none. Left out where that is the one with the nearest lower number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parent_seq: Option<i64>,
    /// The message that it follows, or null for none. Left out where that is the message with the nearest lower number, as
    /// everywhere in a conversation that never branched, unless `siblings` are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    parent_id: Option<Option<MessageId>>,
    /// All messages that follow the same one, by number, when they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, nullable = false, required = false)]
    siblings: Option<Vec<MessageId>>,
    /// What is known about the answer behind it, when it was asked for; null if there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ModelResponseResponse>)]
    response: Option<Option<ModelResponseResponse>>,
}

impl ListItem for MessageResponse {
    fn large_bytes(&self) -> usize {
        let parts = self.parts.as_ref().map_or(0, |parts| parts.as_str().len());
        self.content.len() + parts + self.used_documents.as_str().len() + self.metadata.as_str().len()
    }
}

impl From<Message> for MessageResponse {
    fn from(message: Message) -> Self {
        Self {
            id: message.id,
            short_id: message.id.short(),
            conversation_id: message.conversation_id,
            seq: message.seq,
            role: message.role.as_str(),
            sender_id: message.sender_id,
            content: message.content,
            parts: message.parts,
            format: message.format,
            external_id: message.external_id,
            model: message.model,
            effective_model: message.effective_model,
            token_count: message.token_count,
            used_documents: message.used_documents,
            metadata: message.metadata,
            created_at: message.created_at,
            edited_at: message.edited_at,
            parent_seq: message.parent_seq,
            parent_id: None,
            siblings: None,
            response: None,
        }
    }
}

/// What messages come with, as far as it was asked for.
#[derive(Debug)]
pub(crate) struct Included {
    /// The documents that they refer to.
    pub(crate) documents: Option<ReferencedDocuments>,
    /// What is known about the answers behind them.
    pub(crate) responses: Option<HashMap<MessageId, ModelResponse>>,
    /// What they follow, and what else does.
    pub(crate) family: Family,
}

impl Included {
    /// Adds it to the messages.
    pub(crate) fn add_to(self, messages: &mut [MessageResponse]) {
        let mut documents = self.documents.as_ref().map(Including::new);
        let mut responses = self.responses;
        let Family { mut parents, mut siblings } = self.family;
        for message in messages {
            if let Some(including) = &mut documents {
                including.add_to(&mut message.used_documents);
            }
            message.parent_id = parents.remove(&message.id);
            message.siblings = siblings.remove(&message.id);
            message.response = responses
                .as_mut()
                .map(|responses| responses.remove(&message.id).map(ModelResponseResponse::from));
        }
    }
}

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessagePage)]
pub(crate) struct MessageListResponse {
    data: Vec<MessageResponse>,
    /// Where the next page begins; null exactly when nothing follows, and with `last`.
    #[schema(required)]
    next_cursor: Option<String>,
    /// `true` when the oldest of the messages that `last` asked for were left out, because they would be too large
    /// together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    truncated: Option<bool>,
    /// The number below which messages were left out then, for `before` of the next request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    before: Option<i64>,
}

impl MessageListResponse {
    /// A page, whose cursor belongs to the list that `scope` describes.
    pub(crate) fn page(page: Page<Message, MessagePosition>, scope: &str) -> Self {
        let next_cursor = page.next.map(|position| position.seal(scope));
        Self { next_cursor, ..Self::of(page.items) }
    }

    /// The newest messages, of which those below the number `next` were left out.
    pub(crate) fn newest(Page { items, next }: Page<Message, i64>) -> Self {
        Self { truncated: next.map(|_| true), before: next, ..Self::of(items) }
    }

    /// The same with what its messages come with.
    pub(crate) fn including(mut self, included: Included) -> Self {
        included.add_to(&mut self.data);
        self
    }

    fn of(messages: Vec<Message>) -> Self {
        let data = messages.into_iter().map(MessageResponse::from).collect();
        Self { data, next_cursor: None, truncated: None, before: None }
    }
}

impl IntoResponse for MessageListResponse {
    fn into_response(self) -> Response {
        let Self { data, next_cursor, truncated, before } = self;
        answer::list(data, MessageListEnd { next_cursor, truncated, before })
    }
}

/// What follows the items of a page of messages.
#[derive(Debug, Serialize)]
struct MessageListEnd {
    next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<i64>,
}

/// What is known about the answer behind a model's message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelResponse, example = json!({
    "message_id": "0195f1d4-6a10-7e55-a2c4-90d3b1f7c6e8", "conversation_id": "0195f1d4-5d20-7c3a-9b1e-2f6d8a4c0e11",
    "model_used": "large-1", "tokens_prompt": 12, "tokens_completion": 9, "tokens_total": 21, "tokens_cached": null,
    "completion_time_ms": 640, "finish_reason": "stop", "from_cache": false,
    "created_at": "2026-03-01T12:00:02.000000Z"
}))]
pub(crate) struct ModelResponseResponse {
    #[schema(value_type = String, format = "uuid")]
    message_id: MessageId,
    #[schema(value_type = String, format = "uuid")]
    conversation_id: ConversationId,
    /// The model that answered.
    model_used: String,
    #[schema(required)]
    tokens_prompt: Option<i64>,
    #[schema(required)]
    tokens_completion: Option<i64>,
    #[schema(required)]
    tokens_total: Option<i64>,
    #[schema(required)]
    tokens_cached: Option<i64>,
    #[schema(required)]
    completion_time_ms: Option<i64>,
    #[schema(required)]
    finish_reason: Option<String>,
    /// Whether the answer came from a cache instead of a model.
    from_cache: bool,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
}

impl From<ModelResponse> for ModelResponseResponse {
    fn from(response: ModelResponse) -> Self {
        Self {
            message_id: response.message_id,
            conversation_id: response.conversation_id,
            model_used: response.model_used,
            tokens_prompt: response.tokens_prompt,
            tokens_completion: response.tokens_completion,
            tokens_total: response.tokens_total,
            tokens_cached: response.tokens_cached,
            completion_time_ms: response.completion_time_ms,
            finish_reason: response.finish_reason,
            from_cache: response.from_cache,
            created_at: response.created_at,
        }
    }
}

/// A model's message with its response.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reply, example = json!({
    "id": "0195f1d4-6a10-7e55-a2c4-90d3b1f7c6e8", "short_id": "1BwtYBjE4gWqLhTzV9eRk2",
    "conversation_id": "0195f1d4-5d20-7c3a-9b1e-2f6d8a4c0e11", "seq": 2, "role": "assistant",
    "sender_id": null, "content": "In Seville: 21 °C on most days.",
    "parts": null, "format": null, "external_id": null, "model": "large-1", "effective_model": "large-1", "token_count": 9, "used_documents": [],
    "metadata": {}, "created_at": "2026-03-01T12:00:02.000000Z", "edited_at": null, "response": {
    "message_id": "0195f1d4-6a10-7e55-a2c4-90d3b1f7c6e8", "conversation_id": "0195f1d4-5d20-7c3a-9b1e-2f6d8a4c0e11",
    "model_used": "large-1", "tokens_prompt": 12, "tokens_completion": 9, "tokens_total": 21, "tokens_cached": null,
    "completion_time_ms": 640, "finish_reason": "stop", "from_cache": false,
    "created_at": "2026-03-01T12:00:02.000000Z"
}
}))]
pub(crate) struct ReplyResponse {
    #[serde(flatten)]
    message: MessageResponse,
    response: ModelResponseResponse,
}

impl From<Reply> for ReplyResponse {
    fn from(reply: Reply) -> Self {
        Self { message: reply.message.into(), response: reply.response.into() }
    }
}
