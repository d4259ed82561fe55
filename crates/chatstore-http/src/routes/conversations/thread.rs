//! The caller's own conversations, by the application's ids.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chatstore::{ConversationPatch, ConversationRole, NewConversation};

use crate::body::{JsonBody, ValidBody};
use crate::caller::Caller;
use crate::condition::{IfMatch, IfNoneMatch};
use crate::error::Problem;
use crate::openapi::{BodyProblems, ConditionProblem, DeleteProblems, ReadProblems};
use crate::path::{BasePath, Path, ThreadPath};
use crate::query::{NoParameters, Query};
use crate::routes::conversations::{GetQuery, conversation_patch, new_conversation, respond};
use crate::routes::responses::{ConversationResponse, created};
use crate::schema::request_object;

/// Get a conversation by the application's id
///
/// Only the caller's own conversations are found this way.
#[utoipa::path(
    get,
    path = "/threads/{thread_id}",
    operation_id = "get_thread",
    tag = "threads",
    params(ThreadPath, GetQuery, IfNoneMatch),
    responses(
        (status = 200, description = "The conversation", body = ConversationResponse, headers(("ETag" = String))),
        (status = 304, description = "Not modified: the client has the current conversation", headers(("ETag" = String))),
        ReadProblems,
    )
)]
pub(crate) async fn get(
    caller: Caller,
    Path(path): Path<ThreadPath>,
    Query(query): Query<GetQuery>,
    unless: IfNoneMatch,
) -> Result<Response, Problem> {
    let chat = caller.store();
    let conversation = chat.conversations().get_by_thread(&path.thread_id).await?;
    respond(chat, &query, &unless, conversation, ConversationRole::Owner).await
}

request_object! {
    /// What a conversation is created with, when there is none.
    PutThread: NewConversation = new_conversation, {"title": "Support", "last_message": "Hello"}
}

/// Get or create a conversation by the application's id
///
/// An existing conversation is returned unchanged, whatever the body says. Of several concurrent requests exactly
/// one creates it.
#[utoipa::path(
    put,
    path = "/threads/{thread_id}",
    operation_id = "put_thread",
    tag = "threads",
    params(ThreadPath),
    request_body = PutThread,
    responses(
        (status = 200, description = "The conversation existed", body = ConversationResponse, headers(("ETag" = String))),
        (
            status = 201,
            description = "The conversation was created",
            body = ConversationResponse,
            headers(("Location" = String), ("ETag" = String)),
            links(
                ("get_thread" = (
                    operation_id = "get_thread",
                    parameters(("thread_id" = "$response.body#/thread_id"))
                )),
            ),
        ),
        BodyProblems,
    )
)]
pub(crate) async fn put(
    caller: Caller,
    base_path: BasePath,
    Path(path): Path<ThreadPath>,
    _query: Query<NoParameters>,
    JsonBody(new): JsonBody<PutThread>,
) -> Result<Response, Problem> {
    let new = NewConversation { thread_id: Some(path.thread_id), ..new };
    let (conversation, is_new) = caller.store().conversations().get_or_create_by_thread(new).await?;
    let location = base_path.path(&format!("/conversations/{}", conversation.id));
    let conversation = ConversationResponse::new(conversation, ConversationRole::Owner);
    if is_new { Ok(created(location, conversation)) } else { Ok(conversation.into_response()) }
}

request_object! {
    /// Changes of a conversation. What is left out stays, null clears.
    ChangeThread: ConversationPatch = conversation_patch, {
        "title": "Support, solved", "last_message": "Thank you"
    }
}

/// Change a conversation by the application's id
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
    caller: Caller,
    Path(path): Path<ThreadPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    ValidBody(patch): ValidBody<ChangeThread>,
) -> Result<Response, Problem> {
    let chat = condition.apply(caller.store());
    let conversation = chat.conversations().update_by_thread(&path.thread_id, patch).await?;
    Ok(ConversationResponse::new(conversation, ConversationRole::Owner).into_response())
}

/// Delete a conversation by the application's id
#[utoipa::path(
    delete,
    path = "/threads/{thread_id}",
    operation_id = "delete_thread",
    tag = "threads",
    params(ThreadPath, IfMatch),
    responses(
        (status = 204, description = "The conversation and its messages are deleted; its usage stays recorded"),
        DeleteProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn delete(
    caller: Caller,
    Path(path): Path<ThreadPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let chat = condition.apply(caller.store());
    chat.conversations().delete_by_thread(&path.thread_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
