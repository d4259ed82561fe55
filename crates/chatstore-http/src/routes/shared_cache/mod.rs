//! What servers remember together, for administrators.

pub(crate) mod sessions;
pub(crate) mod users;

use axum::Json;
use axum::extract::State;
use chatstore::shared_cache::CacheStatus;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Admin;
use crate::error::Problem;
use crate::openapi::ReadProblems;
use crate::query::{NoParameters, Query};
use crate::state::AppState;

/// How the cache of this server is, and what was asked of it since the server started.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CacheStatus, example = json!({
    "kind": "redis", "place": "cache.example.org:6379/0", "is_up": true, "hits": 940, "misses": 60, "errors": 0,
    "losses": 0
}))]
pub(crate) struct CacheStatusResponse {
    /// `redis`, or `memory` for that of the server alone.
    #[schema(value_type = String)]
    kind: &'static str,
    /// Host, port and database; null for memory.
    #[schema(required)]
    place: Option<String>,
    /// Whether it is in use: false from when it does not answer until it does.
    is_up: bool,
    /// Look-ups that found an entry.
    hits: u64,
    /// Look-ups that found none.
    misses: u64,
    /// Commands that failed, or were not answered in time.
    errors: u64,
    /// How often it was found not to answer.
    losses: u64,
}

impl From<CacheStatus> for CacheStatusResponse {
    fn from(status: CacheStatus) -> Self {
        let CacheStatus { kind, place, is_up, hits, misses, errors, losses } = status;
        Self { kind, place, is_up, hits, misses, errors, losses }
    }
}

/// Get the state of the cache
///
/// Of this server. For administrators.
#[utoipa::path(
    get,
    path = "/admin/cache",
    operation_id = "get_cache_status",
    tag = "cache",
    responses((status = 200, description = "The state", body = CacheStatusResponse), ReadProblems)
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    admin: Admin,
    _query: Query<NoParameters>,
) -> Result<Json<CacheStatusResponse>, Problem> {
    admin.above_services()?;
    Ok(Json(state.store().shared_cache().status().into()))
}
