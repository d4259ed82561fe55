//! Responses of models, cached for applications that ask the models themselves.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chatstore::fields::{CACHED_SECONDS, CACHED_VALUE, MODEL, REQUEST_MESSAGES, REQUEST_PARAMETERS};
use chatstore::shared_cache::Cached;
use chatstore::{
    CanonicalJson, Invalid, ModelRequest, NewCachedResponse, RequestHash, ResponseCache, ResponseScope,
    Timestamp, UserId,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::body::ValidBody;
use crate::caller::{Caller, CallerOrService};
use crate::error::Problem;
use crate::openapi::{BodyProblems, ReadProblems};
use crate::path::Path;
use crate::query::{FromParameters, NoParameters, Parameters, Query};
use crate::request::ReadFields;
use crate::schema::{ResponseScopeWord, request_object};
use crate::state::AppState;

/// Whose response is meant.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScopeQuery {
    /// `own`, the default, for the caller's response, or `shared` for the one that every user finds.
    #[param(value_type = Option<ResponseScopeWord>, inline)]
    scope: ResponseScope,
}

impl FromParameters for ScopeQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self { scope: parameters.word("scope").unwrap_or(ResponseScope::Own) }
    }
}

/// The path of a response.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct HashPath {
    /// The hash of the request to the model: that of `POST ai-cache/hash`, or one of the application's own.
    #[param(
        min_length = 1,
        max_length = 128,
        pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$",
        example = "cda76ec748f1f2f1"
    )]
    hash: String,
}

impl HashPath {
    fn hash(&self) -> Result<RequestHash, Problem> {
        RequestHash::new(&self.hash).map_err(|Invalid(errors)| Problem::validation(errors))
    }
}

request_object! {
    /// A response to be cached.
    PutCachedResponse: NewCachedResponse = read_put_cached_response, {
        "value": {"content": "In Seville."}, "ttl_seconds": 600
    }
}

fn read_put_cached_response(fields: &mut impl ReadFields) -> NewCachedResponse {
    NewCachedResponse {
        value: fields.required(&CACHED_VALUE),
        ttl_seconds: fields.given_or(&CACHED_SECONDS, NewCachedResponse::TTL_SECONDS),
    }
}

request_object! {
    /// What a model is asked.
    HashModelRequest: ModelRequest = read_hash_model_request, {
        "model": "echo", "messages": [{"role": "user", "content": "Where is it warm?"}], "parameters": {"temperature": 0}
    }
}

fn read_hash_model_request(fields: &mut impl ReadFields) -> ModelRequest {
    ModelRequest {
        model: fields.required(&MODEL),
        messages: fields.required(&REQUEST_MESSAGES),
        parameters: fields.given(&REQUEST_PARAMETERS).unwrap_or_else(CanonicalJson::object),
    }
}

/// A response that is cached.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CachedResponse, example = json!({
    "hash": "cda76ec748f1f2f1", "scope": "own", "value": {"content": "In Seville."},
    "expires_at": "2026-03-01T12:10:00.000000Z"
}))]
pub(crate) struct CachedResponseResponse {
    hash: String,
    #[schema(value_type = ResponseScopeWord)]
    scope: ResponseScope,
    /// What was written.
    #[schema(value_type = serde_json::Value)]
    value: CanonicalJson,
    /// When it is no longer found; it may be lost earlier.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
}

/// Whether a response is cached.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredResponse, example = json!({
    "hash": "cda76ec748f1f2f1", "scope": "own", "stored": true, "expires_at": "2026-03-01T12:10:00.000000Z"
}))]
pub(crate) struct StoredResponseResponse {
    hash: String,
    #[schema(value_type = ResponseScopeWord)]
    scope: ResponseScope,
    /// False while the cache does not answer, which is no error.
    stored: bool,
    /// When it is no longer found; null when it is not stored.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    expires_at: Option<Timestamp>,
}

/// The hash of a request to a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestHash)]
pub(crate) struct RequestHashResponse {
    /// SHA-256 in lower-case hexadecimal digits of `{"messages":…,"model":…,"parameters":…}` without blanks, with sorted
    /// names and integral numbers as integers.
    #[schema(example = "cda76ec748f1f2f1b1abaeb87bf6892b2574b4fccd564adb1cbcfa64bce969bd")]
    hash: String,
}

/// Get a cached response
///
/// 404 when it is not cached, and while the cache does not answer: ask the model then.
#[utoipa::path(
    get,
    path = "/ai-cache/{hash}",
    operation_id = "get_cached_response",
    tag = "ai-cache",
    params(HashPath, ScopeQuery),
    responses((status = 200, description = "The response", body = CachedResponseResponse), ReadProblems)
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: CallerOrService,
    Path(path): Path<HashPath>,
    Query(ScopeQuery { scope }): Query<ScopeQuery>,
) -> Result<Json<CachedResponseResponse>, Problem> {
    let hash = path.hash()?;
    let found = cache(&state, &caller, scope)?.get(&hash, scope).await;
    let Cached { value, expires_at } = found.ok_or_else(Problem::not_found)?;
    Ok(Json(CachedResponseResponse { hash: path.hash, scope, value, expires_at }))
}

/// Cache a response
///
/// In place of any other one with the same hash and scope. It may be lost at any time. With `scope=shared` for
/// administrators and service keys.
#[utoipa::path(
    put,
    path = "/ai-cache/{hash}",
    operation_id = "put_cached_response",
    tag = "ai-cache",
    params(HashPath, ScopeQuery),
    request_body = PutCachedResponse,
    responses(
        (
            status = 200,
            description = "Whether the response is cached",
            body = StoredResponseResponse,
            links(
                ("get_cached_response" = (
                    operation_id = "get_cached_response",
                    parameters(("hash" = "$response.body#/hash"), ("scope" = "$response.body#/scope"))
                )),
                ("delete_cached_response" = (
                    operation_id = "delete_cached_response",
                    parameters(("hash" = "$response.body#/hash"), ("scope" = "$response.body#/scope"))
                )),
            ),
        ),
        BodyProblems,
    )
)]
pub(crate) async fn put(
    State(state): State<AppState>,
    caller: CallerOrService,
    Path(path): Path<HashPath>,
    Query(ScopeQuery { scope }): Query<ScopeQuery>,
    ValidBody(new): ValidBody<PutCachedResponse>,
) -> Result<Json<StoredResponseResponse>, Problem> {
    let hash = path.hash()?;
    let cache = cache(&state, &caller, scope)?;
    check_writer(&caller, scope)?;
    let expires_at = cache.put(&hash, scope, new).await?;
    let stored = expires_at.is_some();
    Ok(Json(StoredResponseResponse { hash: path.hash, scope, stored, expires_at }))
}

/// Remove a cached response
///
/// While the cache does not answer, this is 204, and no response of before is found once it answers again. With
/// `scope=shared` for administrators and service keys.
#[utoipa::path(
    delete,
    path = "/ai-cache/{hash}",
    operation_id = "delete_cached_response",
    tag = "ai-cache",
    params(HashPath, ScopeQuery),
    responses((status = 204, description = "It is not found from now on"), ReadProblems)
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: CallerOrService,
    Path(path): Path<HashPath>,
    Query(ScopeQuery { scope }): Query<ScopeQuery>,
) -> Result<StatusCode, Problem> {
    let hash = path.hash()?;
    let cache = cache(&state, &caller, scope)?;
    check_writer(&caller, scope)?;
    match cache.remove(&hash, scope).await {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found()),
    }
}

/// Hash a request to a model
///
/// Requests that mean the same have the same hash, whatever the order of names. Nothing is stored.
#[utoipa::path(
    post,
    path = "/ai-cache/hash",
    operation_id = "hash_model_request",
    tag = "ai-cache",
    request_body = HashModelRequest,
    responses((status = 200, description = "The hash", body = RequestHashResponse), BodyProblems)
)]
pub(crate) async fn hash(
    _caller: Caller,
    _query: Query<NoParameters>,
    ValidBody(request): ValidBody<HashModelRequest>,
) -> Json<RequestHashResponse> {
    Json(RequestHashResponse { hash: RequestHash::of(&request).as_str().to_owned() })
}

/// The responses that the caller finds: for a service that acts for no user, those that every user finds.
fn cache<'s>(
    state: &'s AppState,
    caller: &'s CallerOrService,
    scope: ResponseScope,
) -> Result<ResponseCache<'s>, Problem> {
    match (caller, scope) {
        (CallerOrService::Caller(caller), _) => Ok(caller.store().response_cache()),
        (CallerOrService::Service(_), ResponseScope::Shared) => {
            Ok(state.store().as_user(UserId::ANONYMOUS).response_cache())
        }
        (CallerOrService::Service(_), ResponseScope::Own) => Err(CallerOrService::nobody_named()),
    }
}

/// Fails unless the caller may say what users with this scope find.
fn check_writer(caller: &CallerOrService, scope: ResponseScope) -> Result<(), Problem> {
    if scope == ResponseScope::Own {
        return Ok(());
    }
    match caller {
        CallerOrService::Service(service) => service.over_all_users(),
        CallerOrService::Caller(caller) => caller.speaks_to_all_users(),
    }
}
