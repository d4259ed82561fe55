//! The caller himself.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chatstore::{Change, Email, Invalid, UserName, UserPatch};
use utoipa::ToSchema;

use crate::body::{JsonBody, RequestBody};
use crate::caller::{Caller, OneSelf};
use crate::error::Problem;
use crate::fields::Fields;
use crate::openapi::{BodyProblems, ConflictProblem, DeleteProblems, ReadProblems};
use crate::query::{NoParameters, Query};
use crate::routes::responses::UserResponse;
use crate::routes::users::{email, load_visible, username};
use crate::state::AppState;

/// Read oneself
#[utoipa::path(
    get,
    path = "/users/me",
    operation_id = "get_me",
    tag = "users",
    responses((status = 200, description = "The caller", body = UserResponse), ReadProblems)
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    OneSelf(caller): OneSelf,
    _query: Query<NoParameters>,
) -> Result<Json<UserResponse>, Problem> {
    Ok(Json(load_visible(&state, caller.user()).await?.into()))
}

/// Changes of oneself. What is left out stays, null clears; the last of name and address cannot be cleared.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"full_name": "Ada Lovelace"}))]
pub(crate) struct ChangeMe {
    #[schema(value_type = Option<String>, max_length = 255)]
    full_name: Change<String>,
    #[schema(value_type = Option<String>, min_length = 3, max_length = 64)]
    username: Change<UserName>,
    #[schema(value_type = Option<String>, min_length = 3, max_length = 254, pattern = r"^[^@\s]+@[^@\s]+$")]
    email: Change<Email>,
}

impl RequestBody for ChangeMe {
    type Input = UserPatch;

    fn read(fields: &mut Fields) -> Self {
        Self {
            full_name: fields.nullable_text("full_name"),
            username: fields.nullable_parsed("username", username),
            email: fields.nullable_parsed("email", email),
        }
    }

    fn into_input(self) -> UserPatch {
        UserPatch {
            full_name: self.full_name,
            username: self.username,
            email: self.email,
            ..UserPatch::default()
        }
    }

    fn check(input: &UserPatch) -> Result<(), Invalid> {
        input.validate()
    }
}

/// Change oneself
#[utoipa::path(
    patch,
    path = "/users/me",
    operation_id = "change_me",
    tag = "users",
    request_body = ChangeMe,
    responses((status = 200, description = "The changed caller", body = UserResponse), BodyProblems, ConflictProblem)
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Caller,
    _query: Query<NoParameters>,
    JsonBody(patch): JsonBody<ChangeMe>,
) -> Result<Json<UserResponse>, Problem> {
    Ok(Json(state.store().users().update(caller.user(), patch).await?.into()))
}

/// Erase oneself
///
/// With everything that is one's own; the credentials of this request are of no more use.
#[utoipa::path(
    delete,
    path = "/users/me",
    operation_id = "erase_me",
    tag = "users",
    responses((status = 204, description = "Nothing of the caller is left"), DeleteProblems, ConflictProblem)
)]
pub(crate) async fn erase(
    State(state): State<AppState>,
    caller: Caller,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    state.store().users().erase(caller.user()).await?;
    Ok(StatusCode::NO_CONTENT)
}
