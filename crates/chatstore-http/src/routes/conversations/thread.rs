//! The caller's own conversations, by the application's own ids.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::{ConversationPatch, ConversationRole, NewConversation};
use serde_json::{Value, json};

use crate::body::{JsonBody, ValidBody};
use crate::caller::Caller;
use crate::condition::{IfMatch, IfNoneMatch};
use crate::error::Problem;
use crate::openapi::{BodyProblems, ConditionProblem, DeleteProblems, ReadProblems};
use crate::path::{Mount, Path, ThreadPath};
use crate::query::{NoParameters, Query};
use crate::request::{ReadFields, RequestObject};
use crate::routes::conversations::{GetQuery, conversation_patch, new_conversation, respond};
use crate::routes::responses::{ConversationResponse, created};
use crate::schema::request_schemas;
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

/// What a conversation is created with, when there is none.
#[derive(Debug)]
pub(crate) struct PutThread;

impl RequestObject for PutThread {
    const NAME: &'static str = "PutThread";
    const ABOUT: &'static str = "What a conversation is created with, when there is none.";

    type Draft = NewConversation;

    fn example() -> Option<Value> {
        Some(json!({"title": "Support", "last_message": "Hello"}))
    }

    fn read(fields: &mut impl ReadFields) -> NewConversation {
        new_conversation(fields)
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

/// Changes of a conversation.
#[derive(Debug)]
pub(crate) struct ChangeThread;

impl RequestObject for ChangeThread {
    const NAME: &'static str = "ChangeThread";
    const ABOUT: &'static str = "Changes of a conversation. What is left out stays, null clears.";

    type Draft = ConversationPatch;

    fn example() -> Option<Value> {
        Some(json!({"title": "Support, solved", "last_message": "Thank you"}))
    }

    fn read(fields: &mut impl ReadFields) -> ConversationPatch {
        conversation_patch(fields)
    }
}

request_schemas!(PutThread, ChangeThread);

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
    ValidBody(patch): ValidBody<ChangeThread>,
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
