//! What happens to every request: an id, limits, a turn, the headers of every answer, problems made into
//! documents, counted and logged.

use std::any::Any;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, OriginalUri, Request, State};
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response as HttpResponse, StatusCode, Uri, header,
};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::admission::{Turn, is_for_password, request_time};
use crate::body::arrive;
use crate::caller::NotedCaller;
use crate::condition::has_idempotency_key;
use crate::error::{Problem, ProblemKind};
use crate::origin::ClientAddress;
use crate::path::Mount;
use crate::state::AppState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of a caller's request id at most.
const REQUEST_ID_LENGTH: usize = 128;

/// Bytes of a path with its query at most.
const URI_BYTES: usize = 8 * 1024;

/// Header fields at most, and bytes of their names and values.
const HEADERS: usize = 100;
const HEADER_BYTES: usize = 32 * 1024;

/// The outermost layer of the router.
pub(crate) async fn boundary(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _present = state.metrics().begin();
    let request_id = given_request_id(&request).unwrap_or_else(|| state.store().new_request_id());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let caller = NotedCaller::default();
    let mount = mount(&request);
    let address = state.proxies().client(request.extensions(), request.headers());
    request.extensions_mut().insert(ClientAddress(address));
    request.extensions_mut().insert(mount);
    request.extensions_mut().insert(caller.clone());

    let mut response = match check_head(&uri, request.headers()) {
        Ok(()) if is_api(&uri) => {
            let address = address.map(tracing::field::display);
            let span = tracing::info_span!("request", request.id = request_id, client.address = address);
            take_turn(&state, request, next).instrument(span).await
        }
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let mut cause = None;
    if let Some(problem) = problem_of(&mut response) {
        cause = problem.cause().map(str::to_owned);
        let allow = response.headers_mut().remove(header::ALLOW);
        let closes = response.headers_mut().remove(header::CONNECTION);
        response = problem.answer(&request_id);
        for (name, value) in [(header::ALLOW, allow), (header::CONNECTION, closes)] {
            if let Some(value) = value {
                response.headers_mut().insert(name, value);
            }
        }
    }

    let (status, took) = (response.status(), started.elapsed());
    state.metrics().end(&method, route.as_ref().map(MatchedPath::as_str), status, took);
    let (user, key, session) = caller.ids();
    let (user, key) = (user.map(tracing::field::display), key.map(tracing::field::display));
    let session = session.map(tracing::field::display);
    let milliseconds = took.as_secs_f64() * 1_000.0;
    match cause {
        Some(cause) => tracing::error!(
            request.id = request_id,
            request.method = %method,
            request.path = uri.path(),
            response.status = status.as_u16(),
            user.id = user,
            key.id = key,
            session.id = session,
            duration.ms = milliseconds,
            error.cause = cause,
            "request failed"
        ),
        None => tracing::debug!(
            request.id = request_id,
            request.method = %method,
            request.path = uri.path(),
            response.status = status.as_u16(),
            user.id = user,
            key.id = key,
            session.id = session,
            duration.ms = milliseconds,
            "request answered"
        ),
    }

    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Everything but health, description and documentation, which answer however busy the server is.
fn is_api(uri: &Uri) -> bool {
    uri.path().starts_with("/api/")
}

/// Waits for the body, then for a turn, then for the answer, each for a limited time.
async fn take_turn(state: &AppState, request: Request, next: Next) -> Response {
    let request = match arrive(state.admission(), request).await {
        Ok(request) => request,
        Err(problem) => {
            let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
            return (close, problem.into_response()).into_response();
        }
    };
    let _turn = match turn(state, request.uri()).await {
        Ok(turn) => turn,
        Err(problem) => return problem.into_response(),
    };
    let method = request.method().clone();
    let has_key = has_idempotency_key(request.headers());
    match timeout(request_time(&method), next.run(request)).await {
        Ok(response) => response,
        Err(_) => late(&method, has_key).into_response(),
    }
}

/// Its turn, if a request for this takes one.
async fn turn<'a>(state: &'a AppState, uri: &Uri) -> Result<Option<Turn<'a>>, Problem> {
    if !is_for_password(uri) {
        return state.admission().turn().await.map(Some);
    }
    if state.store().auth().takes_passwords() {
        return Ok(None);
    }
    Err(state.admission().refusal().await)
}

/// What a request is told that took too long.
fn late(method: &Method, has_key: bool) -> Problem {
    let cause = "the database did not answer in time";
    if method == Method::GET || method == Method::HEAD {
        Problem::unavailable(cause)
    } else if method == Method::POST && has_key {
        let detail =
            "this request, or an earlier one with its key, is still being done; try again with the same key";
        Problem::new(ProblemKind::RequestInProgress, detail)
    } else {
        Problem::outcome_unknown(cause)
    }
}

fn check_head(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
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
