//! What happens to every request: it gets an id, its head is checked, problems become documents, it is counted
//! and logged, and the answer gets the headers that all have.

mod admission;
mod headers;
mod request_id;
mod trace_context;

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, OriginalUri, Request, State};
use axum::http::{HeaderValue, Method, Response as HttpResponse, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chatstore::auth::Actor;
use serde_json::Map;
use tracing::Instrument as _;
use tracing::field::Empty;

pub(crate) use admission::{CountedFor, run_with_password_capacity, run_with_permit};
pub(crate) use headers::with_security_headers;
use headers::{CLOSE, add_security_headers};
use request_id::RequestId;
use trace_context::TraceContext;

use crate::client::ClientAddress;
use crate::error::{Problem, ProblemKind};
use crate::header_names::{REQUEST_ID, TRACEPARENT};
use crate::path::BasePath;
use crate::rate_limit::RequestLimit;
use crate::serve::MalformedHead;
use crate::state::AppState;

/// Maximum length of a caller's request id.
const REQUEST_ID_LENGTH: usize = 128;

/// Maximum size of a path with its query, in bytes.
const URI_BYTES: usize = 8 * 1024;

/// Maximum number of header fields, and of the bytes of their names and values.
const HEADERS: usize = 100;
const HEADER_BYTES: usize = 32 * 1024;

/// The outermost layer of the router.
pub(crate) async fn request_context(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let request_id: Arc<str> =
        given_request_id(&request).unwrap_or_else(|| state.store().new_request_id()).into();
    let trace = TraceContext::of(request.headers());
    let base_path = base_path(&request);
    let address = state.policy().proxies.client(request.extensions(), request.headers());
    // At the level of errors, so that it is there whenever one of its events is.
    let span = tracing::error_span!(
        "request",
        request.id = &*request_id,
        trace.id = trace.as_ref().map(TraceContext::trace_id),
        client.address = address.map(tracing::field::display),
        user.id = Empty,
        key.id = Empty,
        session.id = Empty,
    );
    let extensions = request.extensions_mut();
    extensions.insert(ClientAddress(address));
    extensions.insert(RequestId::new(&request_id));
    extensions.insert(base_path);
    let limit = RequestLimit::default();
    extensions.insert(limit.clone());
    // The layers of routes are declared before there is a state.
    extensions.insert(state.clone());

    let mut response = answer(&state, request, &request_id, next).instrument(span).await;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(&*request_id) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(trace) = trace {
        headers.insert(TRACEPARENT, trace.header());
    }
    limit.add_to(headers);
    add_security_headers(headers);
    response
}

/// The answer, with a problem as its document; counted and logged.
async fn answer(state: &AppState, request: Request, request_id: &str, next: Next) -> Response {
    let started = Instant::now();
    let _in_flight = state.metrics().begin();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = match (MalformedHead::of(request.extensions()), check_head(&request)) {
        (Some(MalformedHead(detail)), _) => (CLOSE, Problem::malformed(detail)).into_response(),
        (None, Err(problem)) => problem.into_response(),
        (None, Ok(())) => next.run(request).await,
    };
    let problem = problem_of(&mut response);
    if let Some(problem) = &problem {
        state.metrics().count_problem(problem);
        response = document(problem, response, request_id);
    }

    let (status, took) = (response.status(), started.elapsed());
    let route = route.as_ref().map(MatchedPath::as_str);
    state.metrics().end(&method, route, status, took);
    // A path may hold an address, a name or an application's own id, and its client chose it: the log has none of it.
    if status.is_server_error() {
        keep_failure(state, &method, route, request_id, &mut response, problem.as_ref());
    }
    let (route, status, milliseconds) =
        (route.unwrap_or("none"), status.as_u16(), took.as_secs_f64() * 1_000.0);
    // A database that is down fails every request in the same way: only the first is logged.
    match problem.as_ref().and_then(|problem| Some((problem.failure_kind()?, problem.cause()?))) {
        Some((kind, cause)) if state.failures().is_first(&kind) => tracing::error!(
            failure.kind = kind,
            request.method = %method,
            request.route = route,
            response.status = status,
            duration.ms = milliseconds,
            error.cause = cause,
            "request failed"
        ),
        _ => tracing::debug!(
            request.method = %method,
            request.route = route,
            response.status = status,
            duration.ms = milliseconds,
            "request answered"
        ),
    }
    response
}

/// Offers a failure to the log of the store, with whom it happened to, as far as that was known.
fn keep_failure(
    state: &AppState,
    method: &Method,
    route: Option<&str>,
    request_id: &str,
    response: &mut Response,
    problem: Option<&Problem>,
) {
    let actor = response.extensions_mut().remove::<Actor>().unwrap_or_default();
    let mut data = Map::new();
    data.insert("status".to_owned(), response.status().as_u16().into());
    data.insert("method".to_owned(), method.as_str().into());
    data.insert("route".to_owned(), route.unwrap_or("none").into());
    if let Some(problem) = problem {
        data.insert("problem".to_owned(), problem.slug().into());
    }
    state.store().event_log().offer_failure(actor, request_id, data);
}

/// The document of a problem, with the headers that the answer it replaces had for its client.
fn document(problem: &Problem, mut replaced: Response, request_id: &str) -> Response {
    let mut response = problem.answer(request_id);
    for name in [header::ALLOW, header::CONNECTION] {
        if let Some(value) = replaced.headers_mut().remove(&name) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn check_head(request: &Request) -> Result<(), Problem> {
    let (uri, headers) = (request.uri(), request.headers());
    let uri_bytes = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if uri_bytes > URI_BYTES {
        let detail = format!("path and query must have at most {URI_BYTES} bytes");
        return Err(Problem::new(ProblemKind::UriTooLong, detail));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > HEADERS || bytes > HEADER_BYTES {
        let detail =
            format!("there must be at most {HEADERS} header fields and {HEADER_BYTES} bytes of them");
        return Err(Problem::new(ProblemKind::HeadersTooLarge, detail));
    }
    Ok(())
}

/// The answer to a request whose handler panicked.
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

/// The caller's own id of the request, if it is safe to repeat in a header and a log.
fn given_request_id(request: &Request) -> Option<String> {
    let given = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_kept = (1..=REQUEST_ID_LENGTH).contains(&given.len()) && given.bytes().all(is_safe);
    is_kept.then(|| given.to_owned())
}

/// Where another application mounted this router: the part of the path that it stripped.
fn base_path(request: &Request) -> BasePath {
    let original = request.extensions().get::<OriginalUri>().map_or("", |original| original.path());
    match (original.strip_suffix(request.uri().path()), request.uri().path()) {
        (Some(base), _) => BasePath::new(base),
        // What is mounted at `/chat` is sent `/` for `/chat` itself.
        (None, "/") => BasePath::new(original),
        (None, _) => BasePath::new(""),
    }
}
