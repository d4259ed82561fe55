//! What servers remember of a user by name.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chatstore::Timestamp;
use chatstore::shared_cache::Cached;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::caller::Admin;
use crate::error::Problem;
use crate::openapi::ReadProblems;
use crate::path::Path;
use crate::query::{NoParameters, Query};
use crate::routes::responses::UserResponse;
use crate::state::AppState;

/// The path of a user by name.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UsernamePath {
    /// The name, in any spelling, percent-encoded.
    #[param(min_length = 1, example = "ada")]
    username: String,
}

/// A user as servers remember them; nothing is decided by it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CachedUser)]
pub(crate) struct CachedUserResponse {
    user: UserResponse,
    /// When the user is read from the database again.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
}

/// Get a user as servers remember them
///
/// 404 when they remember no user by this name, and while the cache does not answer. For administrators.
#[utoipa::path(
    get,
    path = "/admin/cache/users/{username}",
    operation_id = "get_cached_user",
    tag = "cache",
    params(UsernamePath),
    responses((status = 200, description = "The user", body = CachedUserResponse), ReadProblems)
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<UsernamePath>,
    _query: Query<NoParameters>,
) -> Result<Json<CachedUserResponse>, Problem> {
    admin.above_services()?;
    let found = state.store().user_cache().get(&path.username).await;
    let Cached { value, expires_at } = found.ok_or_else(Problem::not_found)?;
    Ok(Json(CachedUserResponse { user: admin.seen(value).into(), expires_at }))
}

/// Forget a user
///
/// The next look-up by this name reads the user from the database, on every server. 204 whether or not one was
/// remembered. For administrators.
#[utoipa::path(
    delete,
    path = "/admin/cache/users/{username}",
    operation_id = "forget_cached_user",
    tag = "cache",
    params(UsernamePath),
    responses((status = 204, description = "No user is remembered by this name"), ReadProblems)
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<UsernamePath>,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    admin.above_services()?;
    state.store().user_cache().invalidate(&path.username).await;
    Ok(StatusCode::NO_CONTENT)
}
