//! What happens to every request: an id, the headers of every answer, problems made into documents and
//! logged.

use std::any::Any;

use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderName, HeaderValue, Response as HttpResponse, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::Problem;
use crate::extract::Mount;
use crate::state::AppState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of a caller's request id at most.
const REQUEST_ID_LENGTH: usize = 128;

/// The outermost layer of the router.
pub(crate) async fn boundary(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let request_id = given_request_id(&request).unwrap_or_else(|| state.store().new_request_id());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mount = mount(&request);
    request.extensions_mut().insert(mount);

    let mut response = next.run(request).await;
    if let Some(problem) = problem_of(&mut response) {
        if let Some(cause) = problem.cause() {
            tracing::error!(
                request.id = request_id,
                request.method = %method,
                request.path = uri.path(),
                response.status = problem.status().as_u16(),
                error.cause = cause,
                "request failed"
            );
        }
        response = problem.answer(&request_id);
    }

    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What a handler's panic is answered with.
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> HttpResponse<Body> {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&'static str>().copied())
        .unwrap_or("without a message");
    Problem::internal(format!("a handler panicked: {message}")).into_response()
}

/// The problem that a handler returned, or the one that an answer of axum's own stands for.
fn problem_of(response: &mut Response) -> Option<Problem> {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return Some(problem);
    }
    match response.status() {
        StatusCode::NOT_FOUND => Some(Problem::not_found()),
        StatusCode::METHOD_NOT_ALLOWED => Some(Problem::method_not_allowed()),
        _ => None,
    }
}

/// The caller's own id of the request, when it has one that is safe to repeat in a header and a log.
fn given_request_id(request: &Request) -> Option<String> {
    let given = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_kept = (1..=REQUEST_ID_LENGTH).contains(&given.len()) && given.bytes().all(is_safe);
    is_kept.then(|| given.to_owned())
}

/// Where another application put this router: the part of the path that it stripped.
fn mount(request: &Request) -> Mount {
    let original = request.extensions().get::<OriginalUri>().map_or("", |original| original.path());
    Mount::new(original.strip_suffix(request.uri().path()).unwrap_or_default())
}
