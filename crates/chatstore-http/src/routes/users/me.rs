//! The current user.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chatstore::UserPatch;

use crate::body::ValidBody;
use crate::caller::{Caller, CurrentUserBeforePasswordChange};
use crate::error::Problem;
use crate::openapi::{BodyProblems, ConflictProblem, DeleteProblems, ReadProblems};
use crate::query::{NoParameters, Query};
use crate::routes::responses::UserResponse;
use crate::routes::users::{changes_email, user_patch};
use crate::schema::request_object;
use crate::state::AppState;

/// Get the current user
#[utoipa::path(
    get,
    path = "/users/me",
    operation_id = "get_me",
    tag = "users",
    responses((status = 200, description = "The current user", body = UserResponse), ReadProblems)
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    CurrentUserBeforePasswordChange(caller): CurrentUserBeforePasswordChange,
    _query: Query<NoParameters>,
) -> Result<Json<UserResponse>, Problem> {
    Ok(Json(caller.seen(state.store().users().get(caller.user()).await?).into()))
}

request_object! {
    /// Changes of the current user. What is left out stays, null clears; the last of name and address cannot be cleared.
    ChangeMe: UserPatch = user_patch, {"full_name": "Ada Lovelace"}
}

/// Change the current user
///
/// Another e-mail address is claimed until an administrator or a service verifies it.
/// Another address asks for a [confirmed](#/auth/confirm) password of users who have one.
#[utoipa::path(
    patch,
    path = "/users/me",
    operation_id = "change_me",
    tag = "users",
    request_body = ChangeMe,
    responses((status = 200, description = "The changed user", body = UserResponse), BodyProblems, ConflictProblem)
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Caller,
    _query: Query<NoParameters>,
    ValidBody(patch): ValidBody<ChangeMe>,
) -> Result<Json<UserResponse>, Problem> {
    let users = state.store().users();
    if !patch.email.is_keep() && changes_email(&patch, &users.get(caller.user()).await?) {
        caller.require_confirmation().await?;
    }
    Ok(Json(caller.seen(users.update(caller.user(), patch).await?).into()))
}

/// Erase the current user
///
/// Deletes the user with everything they own, the credentials of this request included. Users with a password confirm
/// it first.
#[utoipa::path(
    delete,
    path = "/users/me",
    operation_id = "erase_me",
    tag = "users",
    responses((status = 204, description = "The current user and everything they owned are deleted"), DeleteProblems, ConflictProblem)
)]
pub(crate) async fn erase(
    State(state): State<AppState>,
    caller: Caller,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    caller.require_confirmation().await?;
    state.store().users().erase(caller.user()).await?;
    Ok(StatusCode::NO_CONTENT)
}
