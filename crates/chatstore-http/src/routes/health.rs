//! Whether the server is alive, and whether it is ready.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chatstore::ErrorKind;
use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::Draining;
use crate::state::AppState;

/// How long the database may take to answer.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// That the server is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
}

/// Check that the server is alive
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "server",
    security(()),
    responses((status = 200, description = "The server is alive", body = Health))
)]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the server is ready, and the dependencies it needs for that.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    status: ReadinessStatus,
    dependencies: Dependencies,
}

/// What the server needs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Dependencies {
    database: DatabaseReadiness,
    /// Where the server has one. It is ready without as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<RedisReadiness>,
}

/// Redis, and whether it is in use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedisReadiness {
    status: ReadinessStatus,
}

/// The database, and whether it answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DatabaseReadiness {
    status: ReadinessStatus,
    /// `sqlite` or `postgres`.
    #[schema(value_type = String, example = "sqlite")]
    kind: &'static str,
}

/// Whether the server or a dependency is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReadinessStatus {
    Ready,
    /// It answers, but takes no writes.
    ReadOnly,
    Unavailable,
    /// The server answers the requests that have arrived and then ends.
    Stopping,
}

/// Check that the server is ready
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "server",
    security(()),
    responses(
        (status = 200, description = "The server is ready", body = Readiness),
        (status = 503, description = "The server is not ready", body = Readiness, headers(("Retry-After" = String))),
    )
)]
pub(crate) async fn readyz(State(state): State<AppState>, draining: Option<Extension<Draining>>) -> Response {
    let database = match tokio::time::timeout(DATABASE_TIMEOUT, state.store().ping()).await {
        Ok(Ok(())) => ReadinessStatus::Ready,
        Ok(Err(error)) => {
            if state.failures().is_first("the database is not ready") {
                tracing::warn!(error.cause = %error, "the database is not ready");
            }
            match error.kind() {
                ErrorKind::ReadOnly => ReadinessStatus::ReadOnly,
                _ => ReadinessStatus::Unavailable,
            }
        }
        Err(_) => {
            if state.failures().is_first("the database did not answer within 2 s") {
                tracing::warn!("the database did not answer within 2 s");
            }
            ReadinessStatus::Unavailable
        }
    };
    let status = if draining.is_some() { ReadinessStatus::Stopping } else { database };
    let database = DatabaseReadiness { status: database, kind: state.store().kind().as_str() };
    let redis = redis(&state);
    let readiness = Json(Readiness { status, dependencies: Dependencies { database, redis } });
    if status == ReadinessStatus::Ready {
        readiness.into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], readiness).into_response()
    }
}

fn redis(state: &AppState) -> Option<RedisReadiness> {
    let cache = state.store().shared_cache().status();
    let status = if cache.is_up { ReadinessStatus::Ready } else { ReadinessStatus::Unavailable };
    (cache.kind == "redis").then_some(RedisReadiness { status })
}
