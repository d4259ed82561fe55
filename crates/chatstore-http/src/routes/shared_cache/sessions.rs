//! What servers remember of the sessions of a user.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chatstore::shared_cache::Cached;
use chatstore::{Limit, SessionState, Timestamp, UserId, Uuid};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::caller::Admin;
use crate::error::Problem;
use crate::openapi::ReadProblems;
use crate::path::{Named, Path};
use crate::query::{NoParameters, Query};
use crate::schema::UserRoleWord;
use crate::state::AppState;

/// The path of the sessions of a user.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SessionsPath {
    /// The user: UUID or short id.
    #[serde(rename = "user_id")]
    #[param(value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p2")]
    user: Named<UserId>,
}

/// The path of a session, by an access token of it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SessionPath {
    /// The user: UUID or short id.
    #[serde(rename = "user_id")]
    #[param(value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p2")]
    user: Named<UserId>,
    /// The `jti` of the access token, a UUID.
    #[param(value_type = String, example = "0195f1d4-7c00-7d21-b6f0-3e5a9c8d7f11")]
    access_jti: Named<Uuid>,
}

/// A session as servers remember it, for a maximum of five seconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CachedSession, example = json!({
    "access_jti": "0195f1d4-7c00-7d21-b6f0-3e5a9c8d7f11", "role": "user", "must_change_password": false,
    "last_activity": "2026-03-01T12:34:00.000000Z", "session_expires_at": "2026-03-15T12:00:00.000000Z",
    "expires_at": "2026-03-01T12:34:04.000000Z"
}))]
pub(crate) struct CachedSessionResponse {
    /// The `jti` of the access token by which it is remembered. It is no secret.
    #[schema(value_type = String, format = "uuid")]
    access_jti: Uuid,
    /// The role of the user.
    #[schema(value_type = UserRoleWord)]
    role: &'static str,
    must_change_password: bool,
    /// To the minute.
    #[schema(value_type = String, format = "date-time")]
    last_activity: Timestamp,
    /// When the session ends unless it is refreshed.
    #[schema(value_type = String, format = "date-time")]
    session_expires_at: Timestamp,
    /// When it is read from the database again.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
}

impl CachedSessionResponse {
    fn new(access_jti: Uuid, cached: Cached<SessionState>) -> Option<Self> {
        let Cached { value: state, expires_at } = cached;
        Some(Self {
            access_jti,
            role: state.role?.as_str(),
            must_change_password: state.must_change_password,
            last_activity: state.last_activity,
            session_expires_at: state.expires_at,
            expires_at,
        })
    }
}

/// Sessions as servers remember them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CachedSessions)]
pub(crate) struct CachedSessionsResponse {
    data: Vec<CachedSessionResponse>,
}

/// List the sessions of a user as servers remember them
///
/// Those of the 200 last used, by their newest access token. For administrators.
#[utoipa::path(
    get,
    path = "/admin/cache/sessions/{user_id}",
    operation_id = "list_cached_sessions",
    tag = "cache",
    params(SessionsPath),
    responses((status = 200, description = "The sessions", body = CachedSessionsResponse), ReadProblems)
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<SessionsPath>,
    _query: Query<NoParameters>,
) -> Result<Json<CachedSessionsResponse>, Problem> {
    admin.above_services()?;
    let user = existing(&state, &path.user).await?;
    let mut data = Vec::new();
    for session in state.store().auth().page(user, None, Limit::MAX).await?.items {
        let found = state.store().session_cache().get(user, session.access_jti).await;
        data.extend(found.and_then(|cached| CachedSessionResponse::new(session.access_jti, cached)));
    }
    Ok(Json(CachedSessionsResponse { data }))
}

/// Get a session as servers remember it
///
/// 404 when they do not remember it, and while the cache does not answer. For administrators.
#[utoipa::path(
    get,
    path = "/admin/cache/sessions/{user_id}/{access_jti}",
    operation_id = "get_cached_session",
    tag = "cache",
    params(SessionPath),
    responses((status = 200, description = "The session", body = CachedSessionResponse), ReadProblems)
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<SessionPath>,
    _query: Query<NoParameters>,
) -> Result<Json<CachedSessionResponse>, Problem> {
    admin.above_services()?;
    let (user, access_jti) = (path.user.id()?, path.access_jti.id()?);
    let found = state.store().session_cache().get(user, access_jti).await;
    let shown = found.and_then(|cached| CachedSessionResponse::new(access_jti, cached));
    shown.map(Json).ok_or_else(Problem::not_found)
}

/// Forget a session
///
/// With the other sessions of the user: the next request in each reads it from the database, on every server. It is not
/// ended. 204 whether or not one was remembered. For administrators.
#[utoipa::path(
    delete,
    path = "/admin/cache/sessions/{user_id}/{access_jti}",
    operation_id = "forget_cached_session",
    tag = "cache",
    params(SessionPath),
    responses((status = 204, description = "It is not remembered"), ReadProblems)
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<SessionPath>,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    admin.above_services()?;
    let access_jti = path.access_jti.id()?;
    let user = existing(&state, &path.user).await?;
    state.store().session_cache().invalidate(user, access_jti).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget the sessions of a user
///
/// The next request in each reads it from the database, on every server. They are not ended. 204 whether or not one was
/// remembered. For administrators.
#[utoipa::path(
    delete,
    path = "/admin/cache/sessions/{user_id}",
    operation_id = "forget_cached_sessions",
    tag = "cache",
    params(SessionsPath),
    responses((status = 204, description = "None is remembered"), ReadProblems)
)]
pub(crate) async fn delete_all(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<SessionsPath>,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    admin.above_services()?;
    let user = existing(&state, &path.user).await?;
    state.store().session_cache().invalidate_all(user).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The id of a user, if there is one.
async fn existing(state: &AppState, user: &Named<UserId>) -> Result<UserId, Problem> {
    Ok(state.store().users().get(user.id()?).await?.id)
}
