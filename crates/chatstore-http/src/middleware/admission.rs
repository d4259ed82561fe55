//! How the requests of a route are admitted. A route says which of these layers it has where it is registered.
//!
//! Each request waits for its body, then for its admission, then for its answer, each for a limited time.

use std::panic::resume_unwind;

use axum::Extension;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chatstore::auth::Actor;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::headers::CLOSE;
use crate::admission::request_time;
use crate::body::{BODY_BYTES, buffer_body};
use crate::caller::ACTING_USER;
use crate::condition::has_idempotency_key;
use crate::error::{Problem, ProblemKind};
use crate::state::AppState;

/// The headers that tell callers apart.
static CALLER: [HeaderName; 2] = [header::AUTHORIZATION, ACTING_USER];

/// For routes that use the database: a limited number of requests holds a permit at the same time.
pub(crate) async fn run_with_permit(
    Extension(state): Extension<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Response> {
    let request = buffered(&state, request).await?;
    let share = state.shares().acquire(&request, &CALLER).await.map_err(IntoResponse::into_response)?;
    let permit = state.admission().acquire().await.map_err(IntoResponse::into_response)?;
    Ok(run_to_the_end(state, (share, permit), request, next).await)
}

/// For routes that hash a password. They hold no permit, for which others would wait as long as the hash takes:
/// the store itself limits how many run and wait, and when it has no capacity left the request is rejected unread.
pub(crate) async fn run_with_password_capacity(
    Extension(state): Extension<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Response> {
    let request = buffered(&state, request).await?;
    if !state.store().auth().takes_passwords() {
        return Err(state.admission().paced_rejection().await.into_response());
    }
    Ok(run_to_the_end(state, (), request, next).await)
}

/// The request with its whole body, or the last answer on this connection.
async fn buffered(state: &AppState, request: Request) -> Result<Request, Response> {
    let limit = if is_of_documents(&request) { state.store().document_limit() } else { BODY_BYTES };
    let buffered = buffer_body(state.admission(), limit, request).await;
    buffered.map_err(|problem| (CLOSE, problem.into_response()).into_response())
}

/// Whether the route is one of documents, whose bodies have a limit of their own.
fn is_of_documents(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    route.ends_with("/documents") || route.ends_with("/documents/{id}")
}

/// Runs a request as a task of its own, which goes on when the client hangs up: what it does with the database is
/// not broken off in the middle, and costs no connection. It holds its permits to the end.
async fn run_to_the_end(
    state: AppState,
    permits: impl Send + 'static,
    request: Request,
    next: Next,
) -> Response {
    let work = async move {
        let response = run(&state, request, next).await;
        drop(permits);
        response
    };
    // Who causes it is learned from its credentials.
    match tokio::spawn(Actor::default().run(work).in_current_span()).await {
        Ok(response) => response,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Problem::unavailable("the server stops").into_response(),
        },
    }
}

async fn run(state: &AppState, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let has_key = has_idempotency_key(request.headers());
    match timeout(request_time(&method), next.run(request)).await {
        Ok(response) => state.answers().hold(&method, response),
        Err(_) => timeout_problem(&method, has_key).into_response(),
    }
}

/// The answer to a request that took too long.
fn timeout_problem(method: &Method, has_key: bool) -> Problem {
    let cause = "the database did not answer in time";
    if method == Method::GET || method == Method::HEAD {
        Problem::unavailable(cause)
    } else if (method == Method::POST || method == Method::DELETE) && has_key {
        let detail =
            "this request, or an earlier one with its key, is still running; try again with the same key";
        Problem::new(ProblemKind::RequestInProgress, detail)
    } else {
        Problem::outcome_unknown(cause)
    }
}
