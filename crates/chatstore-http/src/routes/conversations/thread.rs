//! The caller's own conversations, by the application's own ids.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::{Change, ConversationPatch, ConversationRole, Invalid, Json, NewConversation};
use utoipa::ToSchema;

use crate::body::{JsonBody, RequestBody};
use crate::caller::Caller;
use crate::condition::{IfMatch, IfNoneMatch};
use crate::error::Problem;
use crate::fields::{Fields, value_of};
use crate::openapi::{BodyProblems, ConditionProblem, DeleteProblems, ReadProblems};
use crate::path::{Mount, Path, ThreadPath};
use crate::query::{NoParameters, Query};
use crate::routes::conversations::{GetQuery, respond};
use crate::routes::responses::{ConversationResponse, created};
use crate::state::AppState;

/// Read a conversation by the application's own id
///
/// Only the caller's own conversations are found so.
#[utoipa::path(
    get,
    path = "/threads/{thread_id}",
    operation_id = "get_thread",
    tag = "threads",
    params(ThreadPath, GetQuery, IfNoneMatch),
    responses(
        (status = 200, description = "The conversation", body = ConversationResponse, headers(("ETag" = String))),
        (status = 304, description = "It is still what the client has", headers(("ETag" = String))),
        ReadProblems,
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(path): Path<ThreadPath>,
    Query(query): Query<GetQuery>,
    unless: IfNoneMatch,
) -> Result<Response, Problem> {
    let chat = caller.store(&state);
    let conversation = chat.conversations().get_by_thread(&path.thread_id).await?;
    respond(chat, &query, &unless, conversation, ConversationRole::Owner).await
}

/// What a conversation is made with, when there is none.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"title": "Support", "last_message": "Hello"}))]
pub(crate) struct PutThread {
    #[schema(max_length = 512)]
    title: Option<String>,
    /// The model replies come from unless a message says otherwise.
    #[schema(min_length = 1, max_length = 255)]
    default_model: Option<String>,
    /// A preview, for applications that keep their messages elsewhere; the next message replaces it.
    #[schema(max_length = 4000)]
    last_message: Option<String>,
    /// The application's own data, at most 64 KiB as JSON.
    #[schema(value_type = Object, required = false)]
    metadata: Option<Json>,
}

impl RequestBody for PutThread {
    type Input = NewConversation;

    fn read(fields: &mut Fields) -> Self {
        Self {
            title: value_of(fields.nullable_text("title")),
            default_model: value_of(fields.nullable_text("default_model")),
            last_message: value_of(fields.nullable_text("last_message")),
            metadata: fields.json("metadata"),
        }
    }

    fn into_input(self) -> NewConversation {
        NewConversation {
            title: self.title,
            default_model: self.default_model,
            last_message: self.last_message,
            metadata: self.metadata.unwrap_or_else(Json::object),
            ..NewConversation::default()
        }
    }

    fn check(input: &NewConversation) -> Result<(), Invalid> {
        input.validate()
    }
}

/// Get or make a conversation by the application's own id
///
/// An existing one is answered as it is, unchanged by the body. Of several requests at once one makes it.
#[utoipa::path(
    put,
    path = "/threads/{thread_id}",
    operation_id = "put_thread",
    tag = "threads",
    params(ThreadPath),
    request_body = PutThread,
    responses(
        (status = 200, description = "It was there", body = ConversationResponse, headers(("ETag" = String))),
        (
            status = 201,
            description = "It was made",
            body = ConversationResponse,
            headers(("Location" = String), ("ETag" = String)),
        ),
        BodyProblems,
    )
)]
pub(crate) async fn put(
    State(state): State<AppState>,
    caller: Caller,
    mount: Mount,
    Path(path): Path<ThreadPath>,
    _query: Query<NoParameters>,
    JsonBody(new): JsonBody<PutThread>,
) -> Result<Response, Problem> {
    let new = NewConversation { thread_id: Some(path.thread_id), ..new };
    let (conversation, is_new) = caller.store(&state).conversations().get_or_create_by_thread(new).await?;
    let object = ConversationResponse::new(conversation, ConversationRole::Owner);
    if !is_new {
        return Ok(object.answer());
    }
    let location = mount.path(&format!("/conversations/{}", object.id()));
    Ok(created(location, object.answer()))
}

/// Changes of a conversation. What is left out stays, null clears.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"title": "Support, solved", "last_message": "Thank you"}))]
pub(crate) struct ChangeThread {
    #[schema(value_type = Option<String>, max_length = 512)]
    title: Change<String>,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    default_model: Change<String>,
    #[schema(value_type = Option<String>, max_length = 4000)]
    last_message: Change<String>,
    /// Replaces the metadata whole.
    #[schema(value_type = Object, required = false)]
    metadata: Option<Json>,
}

impl RequestBody for ChangeThread {
    type Input = ConversationPatch;

    fn read(fields: &mut Fields) -> Self {
        Self {
            title: fields.nullable_text("title"),
            default_model: fields.nullable_text("default_model"),
            last_message: fields.nullable_text("last_message"),
            metadata: fields.json("metadata"),
        }
    }

    fn into_input(self) -> ConversationPatch {
        ConversationPatch {
            title: self.title,
            default_model: self.default_model,
            last_message: self.last_message,
            metadata: self.metadata,
            ..ConversationPatch::default()
        }
    }

    fn check(input: &ConversationPatch) -> Result<(), Invalid> {
        input.validate()
    }
}

/// Change a conversation by the application's own id
#[utoipa::path(
    patch,
    path = "/threads/{thread_id}",
    operation_id = "change_thread",
    tag = "threads",
    params(ThreadPath, IfMatch),
    request_body = ChangeThread,
    responses(
        (status = 200, description = "The changed conversation", body = ConversationResponse, headers(("ETag" = String))),
        BodyProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Caller,
    Path(path): Path<ThreadPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    JsonBody(patch): JsonBody<ChangeThread>,
) -> Result<Response, Problem> {
    let chat = condition.apply(caller.store(&state));
    let conversation = chat.conversations().update_by_thread(&path.thread_id, patch).await?;
    Ok(ConversationResponse::new(conversation, ConversationRole::Owner).answer())
}

/// Delete a conversation by the application's own id
#[utoipa::path(
    delete,
    path = "/threads/{thread_id}",
    operation_id = "delete_thread",
    tag = "threads",
    params(ThreadPath, IfMatch),
    responses(
        (status = 204, description = "It is gone with its messages; what it used stays recorded"),
        DeleteProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(path): Path<ThreadPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let chat = condition.apply(caller.store(&state));
    chat.conversations().delete_by_thread(&path.thread_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
