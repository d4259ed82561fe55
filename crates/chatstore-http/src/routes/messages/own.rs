//! One message of the caller's own conversations, by its id alone.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::body::ValidBody;
use crate::caller::Caller;
use crate::condition::IfMatch;
use crate::error::Problem;
use crate::openapi::{BodyProblems, ConditionProblem, DeleteProblems, ReadProblems};
use crate::path::{OwnMessagePath, Path};
use crate::query::{NoParameters, Query};
use crate::routes::messages::ChangeMessage;
use crate::routes::responses::MessageResponse;

/// Get a message by its id alone
///
/// Only messages of the caller's own conversations are found this way.
#[utoipa::path(
    get,
    path = "/messages/{id}",
    operation_id = "get_own_message",
    tag = "messages",
    params(OwnMessagePath),
    responses((status = 200, description = "The message", body = MessageResponse), ReadProblems)
)]
pub(crate) async fn get(
    caller: Caller,
    Path(path): Path<OwnMessagePath>,
    _query: Query<NoParameters>,
) -> Result<Response, Problem> {
    let message = caller.store().messages().get_own(path.message.id()?).await?;
    Ok(Json(MessageResponse::from(message)).into_response())
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
        (status = 200, description = "The changed message", body = MessageResponse),
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
    let messages = condition.apply(caller.store()).messages();
    let found = messages.get_own(path.message.id()?).await?;
    let message = messages.edit(found.conversation_id, found.id, patch).await?;
    Ok(Json(MessageResponse::from(message)).into_response())
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
        (status = 204, description = "The message and its response are deleted; its number is not reused"),
        DeleteProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn delete(
    caller: Caller,
    Path(path): Path<OwnMessagePath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let messages = condition.apply(caller.store()).messages();
    let found = messages.get_own(path.message.id()?).await?;
    messages.delete(found.conversation_id, found.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
