//! Everything that the current user has, as lines of JSON.

use axum::response::Response;
use chatstore::{
    ConversationId, ConversationRole, EndReason, Export, Exported, IdempotencyRecord, Identity, PAGE_BYTES,
    RefreshToken, RefreshTokenId, Session, SessionId, Timestamp, push_json_line,
};
use serde::Serialize;

use crate::answer::{self, LinesError, WriteLines};
use crate::caller::Caller;
use crate::error::Problem;
use crate::openapi::ReadProblems;
use crate::query::{NoParameters, Query};
use crate::routes::responses::{
    ApiKeyResponse, ConversationResponse, DocumentResponse, LogEventResponse, MemberResponse,
    MessageResponse, ModelResponseResponse, UserResponse,
};
use crate::routes::usage::UsageRowResponse;

/// What an export holds at a time: a page of messages, and its lines.
const CHUNK_BYTES: usize = 2 * PAGE_BYTES;

/// One line.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    User(UserResponse),
    Identity(#[serde(with = "IdentityLine")] Identity),
    ApiKey(ApiKeyResponse),
    Session(#[serde(with = "SessionLine")] Session),
    RefreshToken(#[serde(with = "RefreshTokenLine")] RefreshToken),
    IdempotencyKey(#[serde(with = "IdempotencyKeyLine")] IdempotencyRecord),
    Usage(UsageRowResponse),
    Document(Box<DocumentResponse>),
    Log(Box<LogEventResponse>),
    Conversation(Box<ConversationResponse>),
    Member(MemberLine),
    Message(Box<MessageResponse>),
    Response(ModelResponseResponse),
    Membership(MemberLine),
}

#[derive(Serialize)]
struct MemberLine {
    conversation_id: ConversationId,
    #[serde(flatten)]
    member: MemberResponse,
}

/// Who the user is for an identity provider.
#[derive(Serialize)]
#[serde(remote = "Identity")]
struct IdentityLine {
    issuer: String,
    subject: String,
    created_at: Timestamp,
    token_issued_at: Option<Timestamp>,
    revoked_before: Option<Timestamp>,
}

/// A session, also one that has ended.
#[derive(Serialize)]
#[serde(remote = "Session")]
struct SessionLine {
    id: SessionId,
    created_at: Timestamp,
    last_activity: Timestamp,
    expires_at: Timestamp,
    ip: Option<String>,
    user_agent: Option<String>,
    revoked_at: Option<Timestamp>,
    revoke_reason: Option<EndReason>,
}

/// A refresh token, without even its hash.
#[derive(Serialize)]
#[serde(remote = "RefreshToken")]
struct RefreshTokenLine {
    id: RefreshTokenId,
    session_id: SessionId,
    counter: i64,
    created_at: Timestamp,
    rotated_at: Option<Timestamp>,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

/// What a request with an idempotency key did.
#[derive(Serialize)]
#[serde(remote = "IdempotencyRecord")]
struct IdempotencyKeyLine {
    key: String,
    operation: String,
    status: i64,
    result: chatstore::CanonicalJson,
    created_at: Timestamp,
    expires_at: Timestamp,
    conversation_id: Option<ConversationId>,
}

impl From<Exported> for Line {
    fn from(row: Exported) -> Self {
        let member =
            |conversation_id, member| MemberLine { conversation_id, member: MemberResponse::from(member) };
        match row {
            Exported::User(user) => Self::User(user.into()),
            Exported::Identity(identity) => Self::Identity(identity),
            Exported::ApiKey(key) => Self::ApiKey(key.into()),
            Exported::Session(session) => Self::Session(session),
            Exported::RefreshToken(token) => Self::RefreshToken(token),
            Exported::IdempotencyKey(record) => Self::IdempotencyKey(record),
            Exported::Usage(row) => Self::Usage(row.into()),
            Exported::Document(document) => Self::Document(Box::new(document.into())),
            Exported::Log(event) => Self::Log(Box::new(event.into())),
            Exported::Conversation(head) => {
                Self::Conversation(Box::new(ConversationResponse::new(head, ConversationRole::Owner)))
            }
            Exported::Member(id, found) => Self::Member(member(id, found)),
            Exported::Message(message) => Self::Message(Box::new(message.into())),
            Exported::Response(response) => Self::Response(response.into()),
            Exported::Membership(id, found) => Self::Membership(member(id, found)),
        }
    }
}

/// Export the current user's data
///
/// One JSON object a line, each with a `type`: `user`, `identity`, `api_key`, `session`, `refresh_token`,
/// `idempotency_key`, `usage`, `document`, `log`, `conversation`, `member`, `message`, `response`, `membership`. Parents come
/// before children; last come the messages sent into others' conversations. An answer that is cut off is not complete.
#[utoipa::path(
    get,
    path = "/users/me/export",
    operation_id = "export_me",
    tag = "users",
    responses(
        (status = 200, description = "The lines", body = String, content_type = "application/x-ndjson"),
        ReadProblems,
    )
)]
pub(crate) async fn export(caller: Caller, _query: Query<NoParameters>) -> Result<Response, Problem> {
    answer::lines(ExportLines { export: caller.store().export(), caller }, CHUNK_BYTES).await
}

/// The lines of an export.
struct ExportLines {
    export: Export,
    caller: Caller,
}

impl WriteLines for ExportLines {
    async fn write_next(&mut self, text: &mut Vec<u8>) -> Result<bool, LinesError> {
        let Some(rows) = self.export.next().await? else { return Ok(false) };
        for row in rows {
            let row = match row {
                Exported::User(user) => Exported::User(self.caller.seen(user)),
                row => row,
            };
            push_json_line(text, &Line::from(row))?;
        }
        Ok(true)
    }
}
