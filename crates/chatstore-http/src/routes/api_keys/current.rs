//! The API key of the request itself.

use axum::Json;
use axum::extract::State;

use crate::body::JsonBody;
use crate::caller::KeyHolder;
use crate::error::Problem;
use crate::openapi::{BodyProblems, ReadProblems};
use crate::query::{NoParameters, Query};
use crate::routes::api_keys::own::RotateKey;
use crate::routes::responses::{ApiKeyResponse, NewKeyResponse};
use crate::state::AppState;

/// Get the API key of the request
///
/// What it may do. Every key may ask, whatever else it may not.
#[utoipa::path(
    get,
    path = "/auth/api-key",
    operation_id = "get_current_key",
    tag = "keys",
    responses((status = 200, description = "The key that the request came with", body = ApiKeyResponse), ReadProblems)
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    key: KeyHolder,
    _query: Query<NoParameters>,
) -> Result<Json<ApiKeyResponse>, Problem> {
    Ok(Json(state.store().keys().get(key.user(), key.id()).await?.into()))
}

/// Give the service key of the request another secret
///
/// Only this answer shows the new secret. The one that the request came with stays good for a while, so that a backend
/// can exchange it everywhere; sent again with it, the request replaces the secret whose answer was lost.
#[utoipa::path(
    post,
    path = "/auth/api-key/rotate",
    operation_id = "rotate_current_key",
    tag = "keys",
    request_body = RotateKey,
    responses((status = 200, description = "The key with its new secret", body = NewKeyResponse), BodyProblems)
)]
pub(crate) async fn rotate(
    State(state): State<AppState>,
    key: KeyHolder,
    _query: Query<NoParameters>,
    JsonBody(overlap): JsonBody<RotateKey>,
) -> Result<Json<NewKeyResponse>, Problem> {
    key.of_service()?;
    let keys = state.store().keys();
    Ok(Json(keys.rotate(key.user(), key.id(), Some(key.text()), overlap).await?.into()))
}
