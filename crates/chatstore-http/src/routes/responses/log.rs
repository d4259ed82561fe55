//! Events, as answers hold them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use chatstore::{ApiKeyId, ConversationId, LogEvent, LogEventId, LogLevel, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::ListItem;
use crate::schema::LogLevelWord;

/// An event: what happened to whom, and who caused it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LogEvent, example = json!({
    "id": "0195f1d4-7b30-7d11-8e42-c6a1f0b95d31", "short_id": "1BwtYBz2Vn8mKeRq4TgHt1",
    "at": "2026-03-01T12:00:00.000000Z", "level": "info", "event": "security.member_added",
    "user_id": "0195f1d4-7b30-7d11-8e42-c6a1f0b95d22", "conversation_id": "0195f1d4-7b30-7d11-8e42-c6a1f0b95d20",
    "request_id": "0195f1d4-5d20-7c3a-9b1e-2f6d8a4c0e11", "actor_id": "0195f1d4-7b30-7d11-8e42-c6a1f0b95d23",
    "key_id": null, "acting_for_id": null, "data": {"outcome": "done", "changed": ["role"]}
}))]
pub(crate) struct LogEventResponse {
    #[schema(value_type = String, format = "uuid")]
    id: LogEventId,
    /// The id for URLs: 22 base-58 characters.
    #[schema(example = "1Bwn1eJnfNFRdQmPqyq9p1")]
    short_id: String,
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    #[schema(value_type = LogLevelWord, inline)]
    level: LogLevel,
    /// What happened. Names that begin with `security.` and `server.` are those of the server.
    event: String,
    /// Whom it is about; the nil UUID for no user.
    #[schema(value_type = String, format = "uuid")]
    user_id: UserId,
    /// The conversation that it is about, which may be gone.
    #[schema(required, value_type = Option<String>, format = "uuid")]
    conversation_id: Option<ConversationId>,
    /// The request in which it happened.
    #[schema(required)]
    request_id: Option<String>,
    /// The holder of the credentials with which it was caused.
    #[schema(required, value_type = Option<String>, format = "uuid")]
    actor_id: Option<UserId>,
    /// The API key with which it was caused.
    #[schema(required, value_type = Option<String>, format = "uuid")]
    key_id: Option<ApiKeyId>,
    /// The user that a service acted for.
    #[schema(required, value_type = Option<String>, format = "uuid")]
    acting_for_id: Option<UserId>,
    /// What else there is to say.
    #[schema(value_type = Object)]
    data: chatstore::CanonicalJson,
}

impl ListItem for LogEventResponse {
    fn large_bytes(&self) -> usize {
        self.data.as_str().len()
    }
}

impl From<LogEvent> for LogEventResponse {
    fn from(event: LogEvent) -> Self {
        let LogEvent {
            user_id,
            id,
            at,
            level,
            event,
            conversation_id,
            request_id,
            actor_id,
            key_id,
            acting_for_id,
            data,
        } = event;
        Self {
            id,
            short_id: id.short(),
            at,
            level,
            event,
            user_id,
            conversation_id,
            request_id,
            actor_id,
            key_id,
            acting_for_id,
            data,
        }
    }
}

impl IntoResponse for LogEventResponse {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
