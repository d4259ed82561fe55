//! The members of a conversation.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chatstore::MemberRole;
use chatstore::fields::MEMBER_ROLE;

use crate::body::JsonBody;
use crate::caller::Caller;
use crate::error::Problem;
use crate::openapi::{BodyProblems, ConflictProblem, DeleteProblems, ReadProblems};
use crate::path::{BasePath, ConversationPath, MemberPath, Path};
use crate::query::{NoParameters, PageQuery, Query};
use crate::request::ReadFields;
use crate::routes::responses::{ListResponse, MemberResponse, created};
use crate::schema::request_object;

/// List members
///
/// The owner first, then by joining.
#[utoipa::path(
    get,
    path = "/conversations/{id}/members",
    operation_id = "list_members",
    tag = "members",
    params(ConversationPath, PageQuery),
    responses(
        (status = 200, description = "A page of members", body = ListResponse<MemberResponse>),
        ReadProblems,
    )
)]
pub(crate) async fn list(
    caller: Caller,
    Path(path): Path<ConversationPath>,
    Query(query): Query<PageQuery>,
) -> Result<ListResponse<MemberResponse>, Problem> {
    let chat = caller.store();
    let conversation = path.conversation().id(chat).await;
    let named = conversation.as_ref().map(ToString::to_string).unwrap_or_default();
    let scope = format!("members for {} in {named}", caller.user());
    let from = query.position(&scope)?;
    let page = chat.members().page(conversation?, from, query.limit).await?;
    Ok(ListResponse::new(page, &scope, MemberResponse::from))
}

request_object! {
    /// What a member may do in a conversation.
    PutMember: MemberRole = read_put_member, {"role": "viewer"}
}

fn read_put_member(fields: &mut impl ReadFields) -> MemberRole {
    fields.given_or(&MEMBER_ROLE, MemberRole::Editor)
}

/// Add a member, or change their role
///
/// Only for the owner.
#[utoipa::path(
    put,
    path = "/conversations/{id}/members/{user_id}",
    operation_id = "put_member",
    tag = "members",
    params(MemberPath),
    request_body = PutMember,
    responses(
        (status = 200, description = "The role was changed", body = MemberResponse),
        (status = 201, description = "The member was added", body = MemberResponse, headers(("Location" = String))),
        BodyProblems,
        ConflictProblem,
    )
)]
pub(crate) async fn put(
    caller: Caller,
    base_path: BasePath,
    Path(path): Path<MemberPath>,
    _query: Query<NoParameters>,
    JsonBody(role): JsonBody<PutMember>,
) -> Result<Response, Problem> {
    let chat = caller.store();
    let (conversation, user) = (path.conversation().id(chat).await?, path.user.id()?);
    let (member, is_new) = chat.members().put(conversation, user, role).await?;
    let answer = Json(MemberResponse::from(member)).into_response();
    if !is_new {
        return Ok(answer);
    }
    Ok(created(base_path.path(&format!("/conversations/{conversation}/members/{user}")), answer))
}

/// Remove a member
///
/// The owner removes any member; a member only themselves.
#[utoipa::path(
    delete,
    path = "/conversations/{id}/members/{user_id}",
    operation_id = "remove_member",
    tag = "members",
    params(MemberPath),
    responses(
        (status = 204, description = "The user is no longer a member"),
        DeleteProblems,
        ConflictProblem,
    )
)]
pub(crate) async fn remove(
    caller: Caller,
    Path(path): Path<MemberPath>,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    let chat = caller.store();
    chat.members().remove(path.conversation().id(chat).await?, path.user.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
