//! The caller's own sessions.

use axum::extract::State;
use axum::http::StatusCode;
use chatstore::{Session, SessionId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::ListItem;
use crate::caller::SelfManagedUser;
use crate::error::Problem;
use crate::openapi::{DeleteProblems, ReadProblems};
use crate::path::{Path, SessionPath};
use crate::query::{NoParameters, PageQuery, Query};
use crate::routes::responses::ListResponse;
use crate::state::AppState;

/// An active session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session, example = json!({
    "id": "0195f1d4-7c00-7d21-b6f0-3e5a9c8d7f10", "created_at": "2026-03-01T12:00:00.000000Z",
    "last_activity": "2026-03-01T12:34:00.000000Z", "expires_at": "2026-03-15T12:00:00.000000Z",
    "ip": "192.0.2.1", "user_agent": "curl/8.5.0", "current": true
}))]
pub(crate) struct SessionResponse {
    #[schema(value_type = String, format = "uuid")]
    id: SessionId,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// To the minute.
    #[schema(value_type = String, format = "date-time")]
    last_activity: Timestamp,
    /// When it ends unless it is refreshed.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
    /// The address it was started from.
    #[schema(required)]
    ip: Option<String>,
    /// What the client called itself.
    #[schema(required)]
    user_agent: Option<String>,
    /// Whether this request belongs to it.
    current: bool,
}

impl ListItem for SessionResponse {}

impl SessionResponse {
    fn new(session: Session, current: Option<SessionId>) -> Self {
        Self {
            current: current == Some(session.id),
            id: session.id,
            created_at: session.created_at,
            last_activity: session.last_activity,
            expires_at: session.expires_at,
            ip: session.ip,
            user_agent: session.user_agent,
        }
    }
}

/// List the current user's sessions
///
/// The active ones, the last used first.
#[utoipa::path(
    get,
    path = "/auth/sessions",
    operation_id = "list_sessions",
    tag = "auth",
    params(PageQuery),
    responses((status = 200, description = "A page of sessions", body = ListResponse<SessionResponse>), ReadProblems)
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    SelfManagedUser(caller): SelfManagedUser,
    Query(query): Query<PageQuery>,
) -> Result<ListResponse<SessionResponse>, Problem> {
    let scope = format!("sessions of {}", caller.user());
    let from = query.position(&scope)?;
    let page = state.store().auth().page(caller.user(), from, query.limit).await?;
    Ok(ListResponse::new(page, &scope, |session| SessionResponse::new(session, caller.session())))
}

/// Revoke one of the current user's sessions
///
/// Takes effect immediately in this process, within 5 seconds in others.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{id}",
    operation_id = "revoke_session",
    tag = "auth",
    params(SessionPath),
    responses((status = 204, description = "The session is revoked"), DeleteProblems)
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    SelfManagedUser(caller): SelfManagedUser,
    Path(path): Path<SessionPath>,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    state.store().auth().revoke(caller.user(), path.session.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
