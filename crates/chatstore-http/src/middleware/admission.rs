//! How the requests of a route are admitted. A route says which of these layers it has where it is registered.
//!
//! Each request waits for its body, then for its admission, then for its answer, each for a limited time.

use std::panic::resume_unwind;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chatstore::ShownPosition;
use chatstore::auth::{Actor, ClientInfo, ClientNetwork};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::headers::CLOSE;
use super::request_id::RequestId;
use crate::admission::request_time;
use crate::body::{BodyLimit, buffer_body};
use crate::budget::{HeldMemory, Holder};
use crate::caller::ACTING_USER;
use crate::client::ClientAddress;
use crate::condition::has_idempotency_key;
use crate::error::{Problem, ProblemKind};
use crate::position;
use crate::state::AppState;

/// The headers that tell callers apart.
static CALLER: [HeaderName; 2] = [header::AUTHORIZATION, ACTING_USER];

/// For routes that use the database: a limited number of requests holds a permit at the same time.
pub(crate) async fn run_with_permit(
    State(limit): State<BodyLimit>,
    Extension(state): Extension<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Response> {
    let (request, memory) = buffered(&state, limit, request).await?;
    let share = state.shares().acquire(&request, &CALLER).await.map_err(IntoResponse::into_response)?;
    let permit =
        state.metrics().permit(state.admission().acquire()).await.map_err(IntoResponse::into_response)?;
    Ok(run_to_the_end(state, (share, permit, memory), request, next).await)
}

/// For whom the requests of a route that takes a password are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountedFor {
    /// For the address alone before the request is read: nobody is known yet.
    Address,
    /// For the user, who is.
    User,
}

/// For routes that hash a password. They hold no permit, for which others would wait as long as the hash takes:
/// the store itself limits how many run and wait, and when it has no capacity left the request is rejected unread. So
/// is one from an address that tries too often.
pub(crate) async fn run_with_password_capacity(
    State(counted_for): State<CountedFor>,
    Extension(state): Extension<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Response> {
    let address = ClientAddress::within(request.extensions());
    let network = ClientNetwork::of(address);
    let client = ClientInfo { address, user_agent: None };
    if counted_for == CountedFor::Address
        && let Err(error) = state.store().auth().from(client.clone()).check_address().await
    {
        state.pace().keep(network).await;
        return Err(Problem::from(error).into_response());
    }
    let (request, memory) = buffered(&state, BodyLimit::Credentials, request).await?;
    if !state.store().auth().from(client).takes_passwords() {
        return Err(state.admission().paced_rejection().await.into_response());
    }
    let response = run_to_the_end(state.clone(), memory, request, next).await;
    if response.extensions().get::<Problem>().is_some_and(Problem::is_rate_limit) {
        state.pace().keep(network).await;
    }
    Ok(response)
}

/// The request with its whole body and the memory that takes, or the last answer on this connection.
async fn buffered(
    state: &AppState,
    limit: BodyLimit,
    request: Request,
) -> Result<(Request, Option<HeldMemory>), Response> {
    let buffered = buffer_body(state, limit, request).await;
    buffered.map_err(|problem| (CLOSE, problem.into_response()).into_response())
}

/// Runs a request as a task of its own, which goes on when the client hangs up: what it does with the database is
/// not broken off in the middle, and costs no connection. It holds its permits to the end.
async fn run_to_the_end(
    state: AppState,
    permits: impl Send + 'static,
    request: Request,
    next: Next,
) -> Response {
    let request_id = RequestId::of(&request);
    let work = async move {
        let mut response = run(&state, request, next).await;
        drop(permits);
        response.extensions_mut().insert(Actor::present());
        response
    };
    // Who causes it is learned from its credentials.
    match tokio::spawn(Actor::default().run_request(request_id, work).in_current_span()).await {
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
    let network = ClientNetwork::of(ClientAddress::within(request.extensions()));
    // One that is wrong is refused with the query, after callers without a right to ask.
    let least = position::least(request.headers()).unwrap_or_default();
    match timeout(request_time(&method), ShownPosition::run(least, next.run(request))).await {
        Ok((response, written)) => {
            let response = position::with_position(response, written);
            state.answers().hold(Holder::Network(network), &method, response)
        }
        Err(_) => timeout_problem(&method, has_key).into_response(),
    }
}

/// The answer to a request that took too long.
fn timeout_problem(method: &Method, has_key: bool) -> Problem {
    let cause = "the database did not answer in time";
    if method == Method::GET || method == Method::HEAD {
        Problem::unavailable(cause)
    } else if [Method::POST, Method::PUT, Method::DELETE].contains(method) && has_key {
        let detail =
            "this request, or an earlier one with its key, is still running; try again with the same key";
        Problem::new(ProblemKind::RequestInProgress, detail)
    } else {
        Problem::outcome_unknown(cause)
    }
}
