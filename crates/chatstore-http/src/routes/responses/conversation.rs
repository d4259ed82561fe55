//! Conversations, as answers hold them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use chatstore::{Conversation, ConversationId, ConversationRole, Message, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::ListItem;
use crate::schema::ConversationRoleWord;

use super::message::{Included, MessageResponse};
use super::with_revision;

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversation, example = json!({
    "id": "0195f1d4-5d20-7c3a-9b1e-2f6d8a4c0e11", "short_id": "1BwtYBRpDkXPJhkEf5jY6d",
    "owner_id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "thread_id": "support/1017", "title": "Trip",
    "default_model": "large-1", "role": "owner", "message_count": 2, "last_seq": 2, "head_seq": null,
    "last_message": "In Seville: 21 °C on most days.", "last_message_at": "2026-03-01T12:00:02.000000Z",
    "revision": 3, "metadata": {"channel": "web"}, "created_at": "2026-03-01T12:00:00.000000Z",
    "updated_at": "2026-03-01T12:00:02.000000Z", "archived_at": null
}))]
pub(crate) struct ConversationResponse {
    #[schema(value_type = String, format = "uuid")]
    id: ConversationId,
    /// The id for URLs: 22 base-58 characters.
    #[schema(example = "1Bwn1eJnfNFRdQmPqyq9p1")]
    short_id: String,
    #[schema(value_type = String, format = "uuid")]
    owner_id: UserId,
    /// The application's own id, unique among the owner's conversations.
    #[schema(required)]
    thread_id: Option<String>,
    #[schema(required)]
    title: Option<String>,
    /// The model replies come from unless a message says otherwise.
    #[schema(required)]
    default_model: Option<String>,
    /// What the caller is in it; null in a list of the conversations of all users.
    #[schema(required, value_type = Option<ConversationRoleWord>)]
    role: Option<&'static str>,
    message_count: i64,
    /// The number of the newest message ever appended.
    last_seq: i64,
    /// The beginning of the newest message, or what the application set.
    #[schema(required)]
    last_message: Option<String>,
    #[schema(required, value_type = Option<String>, format = "date-time")]
    last_message_at: Option<Timestamp>,
    /// Rises with every change, appends included.
    revision: i64,
    /// The application's own data.
    #[schema(value_type = Object)]
    metadata: chatstore::CanonicalJson,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
    /// When the owner archived it, if it is archived.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    archived_at: Option<Timestamp>,
    /// The number of the message at the end of the branch that is read and written, 0 when no message is left; null while
    /// the conversation never branched, whose newest message it is.
    #[schema(required)]
    head_seq: Option<i64>,
    /// The newest messages in order, when they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    messages: Option<Vec<MessageResponse>>,
    /// `true` when `messages` has fewer than `last` asked for, because they would be too large together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    truncated: Option<bool>,
    /// The number below which messages were left out then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    before: Option<i64>,
}

impl ListItem for ConversationResponse {
    fn large_bytes(&self) -> usize {
        self.metadata.as_str().len() + self.last_message.as_ref().map_or(0, String::len)
    }
}

impl ConversationResponse {
    /// As a user sees it who is this in it.
    pub(crate) fn new(conversation: Conversation, role: ConversationRole) -> Self {
        Self { role: Some(role.as_str()), ..Self::of_any(conversation) }
    }

    /// Without a role.
    pub(crate) fn of_any(conversation: Conversation) -> Self {
        let Conversation {
            owner_id,
            id,
            thread_id,
            title,
            default_model,
            last_seq,
            message_count,
            last_message,
            last_message_at,
            revision,
            metadata,
            created_at,
            updated_at,
            archived_at,
            head_seq,
        } = conversation;
        Self {
            id,
            short_id: id.short(),
            owner_id,
            thread_id,
            title,
            default_model,
            role: None,
            message_count,
            last_seq,
            last_message,
            last_message_at,
            revision,
            metadata,
            created_at,
            updated_at,
            archived_at,
            head_seq,
            messages: None,
            truncated: None,
            before: None,
        }
    }

    /// Adds the conversation's newest messages, of which those below the number `before` were left out.
    pub(crate) fn include(&mut self, messages: Vec<Message>, included: Included, before: Option<i64>) {
        let mut messages: Vec<MessageResponse> = messages.into_iter().map(MessageResponse::from).collect();
        included.add_to(&mut messages);
        self.messages = Some(messages);
        (self.truncated, self.before) = (before.map(|_| true), before);
    }
}

impl IntoResponse for ConversationResponse {
    /// The conversation, with its revision as an entity tag.
    fn into_response(self) -> Response {
        let revision = self.revision;
        with_revision(Json(self).into_response(), revision)
    }
}
