//! The description of the API: the document, and a page whose assets are inside the program.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::Config;

use crate::error::Problem;
use crate::path::BasePath;
use crate::state::AppState;

/// The page runs its own scripts and sends requests to this server only. Its style sheet is partly inline.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

const CONTENT_SECURITY_POLICY: HeaderName = header::CONTENT_SECURITY_POLICY;

/// Get the description of the API
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "server",
    security(()),
    responses((status = 200, description = "The OpenAPI document", body = Object))
)]
pub(crate) async fn document(State(state): State<AppState>, base_path: BasePath) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], state.description().below(&base_path.root("")))
}

/// Where the page is: below a slash, because it asks for its parts relative to itself.
pub(crate) async fn index(base_path: BasePath) -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, base_path.root("/docs/"))]).into_response()
}

/// The page.
pub(crate) async fn page() -> Result<Response, Problem> {
    file("index.html")
}

/// A part of the page.
pub(crate) async fn part(Path(name): Path<String>) -> Result<Response, Problem> {
    file(&name)
}

fn file(name: &str) -> Result<Response, Problem> {
    // The base layout has no bar in which to type the address of another description.
    let config = Config::from("../openapi.json").use_base_layout().display_request_duration(true);
    let config = config.doc_expansion("list").default_models_expand_depth(0);
    let found = utoipa_swagger_ui::serve(name, Arc::new(config));
    let found = found.map_err(|error| Problem::internal(error.to_string()))?;
    let file = found.ok_or_else(Problem::not_found)?;
    let headers = [(header::CONTENT_TYPE, file.content_type.as_str()), (CONTENT_SECURITY_POLICY, POLICY)];
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    let mut answer = (headers, bytes).into_response();
    if file.gzpipped {
        let gzip = axum::http::HeaderValue::from_static("gzip");
        answer.headers_mut().insert(header::CONTENT_ENCODING, gzip);
    }
    Ok(answer)
}
