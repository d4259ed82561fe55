//! One message of the caller's own conversations, by its id alone.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::SeenRevision;

use crate::body::ValidBody;
use crate::caller::Caller;
use crate::condition::IfMatch;
use crate::error::Problem;
use crate::openapi::{BodyProblems, ConditionProblem, DeleteProblems, ReadProblems};
use crate::path::{OwnMessagePath, Path};
use crate::query::{NoParameters, Query};
use crate::routes::messages::ChangeMessage;
use crate::routes::responses::{MessageResponse, with_seen};

/// Get a message by its id alone
///
/// Only messages of the caller's own conversations are found this way.
#[utoipa::path(
    get,
    path = "/messages/{id}",
    operation_id = "get_own_message",
    tag = "messages",
    params(OwnMessagePath),
    responses(
        (
            status = 200,
            description = "The message",
            body = MessageResponse,
            headers(("ETag" = String, description = "The revision of the conversation")),
        ),
        ReadProblems,
    )
)]
pub(crate) async fn get(
    caller: Caller,
    Path(path): Path<OwnMessagePath>,
    _query: Query<NoParameters>,
) -> Result<Response, Problem> {
    let seen = SeenRevision::default();
    let message = caller.store().noting(&seen).messages().get_own(path.message.id()?).await?;
    Ok(with_seen(Json(MessageResponse::from(message)), &seen))
}

/// Change a message by its id alone
///
/// Only messages of the caller's own conversations are found this way.
#[utoipa::path(
    patch,
    path = "/messages/{id}",
    operation_id = "change_own_message",
    tag = "messages",
    params(OwnMessagePath, IfMatch),
    request_body = ChangeMessage,
    responses(
        (
            status = 200,
            description = "The changed message",
            body = MessageResponse,
            headers(("ETag" = String, description = "The revision of the conversation after the change")),
        ),
        BodyProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn change(
    caller: Caller,
    Path(path): Path<OwnMessagePath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    ValidBody(patch): ValidBody<ChangeMessage>,
) -> Result<Response, Problem> {
    let seen = SeenRevision::default();
    let messages = condition.apply(caller.store().noting(&seen)).messages();
    let found = messages.get_own(path.message.id()?).await?;
    let message = messages.edit(found.conversation_id, found.id, patch).await?;
    Ok(with_seen(Json(MessageResponse::from(message)), &seen))
}

/// Delete a message by its id alone
///
/// Only messages of the caller's own conversations are found this way.
#[utoipa::path(
    delete,
    path = "/messages/{id}",
    operation_id = "delete_own_message",
    tag = "messages",
    params(OwnMessagePath, IfMatch),
    responses(
        (
            status = 204,
            description = "The message and its response are deleted; its number is not reused",
            headers(("ETag" = String, description = "The revision of the conversation after the change")),
        ),
        DeleteProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn delete(
    caller: Caller,
    Path(path): Path<OwnMessagePath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
) -> Result<Response, Problem> {
    let seen = SeenRevision::default();
    let messages = condition.apply(caller.store().noting(&seen)).messages();
    let found = messages.get_own(path.message.id()?).await?;
    messages.delete(found.conversation_id, found.id).await?;
    Ok(with_seen(StatusCode::NO_CONTENT, &seen))
}
