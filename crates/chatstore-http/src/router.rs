//! Which path leads to which handler.

use axum::Router;
use axum::routing::any;
use chatstore::Store;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Problem;
use crate::middleware::{boundary, panicked};
use crate::openapi::Description;
use crate::routes::{conversation_list, conversations, health, message_list, messages, replies};
use crate::state::AppState;

/// The API over this store: everything under `/api/v1`, and `/healthz`, `/readyz` and `/openapi.json`.
///
/// It has no fallback of its own, so it can be merged into another application as well as nested in one;
/// unknown paths under `/api/v1` are nevertheless answered here.
pub fn router(store: Store) -> Router {
    let (routes, openapi) = routes().split_for_parts();
    // A document of plain structs always becomes JSON.
    let openapi = openapi.to_json().unwrap_or_default();
    finish(routes, AppState::new(store, openapi))
}

/// The routes and their description.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    let v1 = OpenApiRouter::new()
        .routes(routes!(conversation_list::list, conversations::create))
        .routes(routes!(conversation_list::count))
        .routes(routes!(conversations::get, conversations::change, conversations::delete))
        .routes(routes!(message_list::list, messages::append))
        .routes(routes!(messages::get, messages::change, messages::delete))
        .routes(routes!(replies::create))
        .routes(routes!(replies::get_response))
        .route("/", any(unknown))
        .route("/{*unknown}", any(unknown));
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(crate::openapi::serve))
        .nest("/api/v1", v1)
}

/// The description of the routes.
pub(crate) fn description() -> OpenApi {
    routes().into_openapi()
}

/// Puts around the routes what every request passes.
fn finish(routes: Router<AppState>, state: AppState) -> Router {
    routes
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn_with_state(state.clone(), boundary))
        .with_state(state)
}

async fn unknown() -> Problem {
    Problem::not_found()
}
