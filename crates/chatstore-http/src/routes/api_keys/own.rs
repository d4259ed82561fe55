//! The caller's own API keys.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::auth::{KeyOptions, MAX_ROTATION_OVERLAP, ROTATION_OVERLAP};
use chatstore::fields::{EXPIRES_AT, KEY_ADDRESSES, KEY_NAME, KEY_ROUTES, READ_ONLY};
use chatstore::{
    ApiKeyScope, CountField, FieldCode, KeyRights, NewKey, Timestamp, UserId, Validate, Validator,
};

use crate::body::{JsonBody, ValidBody};
use crate::caller::{SelfManagedUser, UserInSession};
use crate::error::Problem;
use crate::openapi::{BodyProblems, ConflictProblem, DeleteProblems, ReadProblems};
use crate::path::{BasePath, KeyPath, Path};
use crate::query::{NoParameters, PageQuery, Query};
use crate::request::ReadFields;
use crate::routes::responses::{ApiKeyResponse, ListResponse, NewKeyResponse, created};
use crate::schema::request_object;
use crate::state::AppState;

/// A page of a user's keys, for this caller.
pub(crate) async fn page_of(
    state: &AppState,
    query: PageQuery,
    user: UserId,
    caller: UserId,
) -> Result<ListResponse<ApiKeyResponse>, Problem> {
    let scope = format!("keys of {user} for {caller}");
    let from = query.position(&scope)?;
    let page = state.store().keys().page(user, from, query.limit).await?;
    Ok(ListResponse::new(page, &scope, ApiKeyResponse::from))
}

/// List the current user's API keys
///
/// The oldest first.
#[utoipa::path(
    get,
    path = "/auth/api-keys",
    operation_id = "list_own_keys",
    tag = "keys",
    params(PageQuery),
    responses((status = 200, description = "A page of keys", body = ListResponse<ApiKeyResponse>), ReadProblems)
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    SelfManagedUser(caller): SelfManagedUser,
    Query(query): Query<PageQuery>,
) -> Result<ListResponse<ApiKeyResponse>, Problem> {
    page_of(&state, query, caller.user(), caller.user()).await
}

/// A key to be created.
#[derive(Debug)]
pub(crate) struct KeyInput {
    name: Option<String>,
    expires_at: Option<Timestamp>,
    pub(crate) rights: KeyRights,
}

impl Validate for KeyInput {
    fn check(&self, validator: &mut Validator) {
        KEY_NAME.check(validator, self.name.as_deref());
    }
}

request_object! {
    /// What an API key is created with.
    CreateKey: KeyInput = KeyInput::read, {"name": "laptop", "read_only": true}
}

impl KeyInput {
    /// The fields that every new key is read with.
    pub(crate) fn read(fields: &mut impl ReadFields) -> Self {
        Self {
            name: fields.optional(&KEY_NAME),
            expires_at: fields.optional(&EXPIRES_AT),
            rights: KeyRights {
                read_only: fields.given_or(&READ_ONLY, false),
                routes: fields.given(&KEY_ROUTES).unwrap_or_default(),
                addresses: fields.given(&KEY_ADDRESSES).unwrap_or_default(),
                ..KeyRights::default()
            },
        }
    }

    /// Fails when the key would have expired before it is created.
    pub(crate) fn check_end(&self, state: &AppState) -> Result<(), Problem> {
        if self.expires_at.is_some_and(|end| end <= state.store().now()) {
            return Err(Problem::wrong("expires_at", FieldCode::OutOfRange, "must be in the future"));
        }
        Ok(())
    }

    /// Creates the key; only this answer shows it.
    pub(crate) async fn create(
        self,
        state: &AppState,
        user: UserId,
        scope: ApiKeyScope,
    ) -> Result<NewKey, Problem> {
        let Self { name, expires_at, rights } = self;
        let options = KeyOptions { scope, name, expires_at, rights };
        Ok(state.store().keys().create_with(user, options).await?)
    }
}

/// Create an API key for the current user
///
/// In a session, after the password was [confirmed](#/auth/confirm): a key creates no keys.
#[utoipa::path(
    post,
    path = "/auth/api-keys",
    operation_id = "create_own_key",
    tag = "keys",
    request_body = CreateKey,
    responses(
        (
            status = 201,
            description = "The new key, with its secret text, which is shown only once",
            body = NewKeyResponse,
            headers(("Location" = String)),
            links(
                ("revoke_own_key" = (
                    operation_id = "revoke_own_key",
                    parameters(("id" = "$response.body#/id"))
                )),
            ),
        ),
        BodyProblems,
        ConflictProblem,
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    UserInSession(caller): UserInSession,
    base_path: BasePath,
    _query: Query<NoParameters>,
    ValidBody(new): ValidBody<CreateKey>,
) -> Result<Response, Problem> {
    new.check_end(&state)?;
    caller.require_confirmation().await?;
    let key = new.into_inner().create(&state, caller.user(), ApiKeyScope::User).await?;
    let location = base_path.path(&format!("/auth/api-keys/{}", key.key.id));
    Ok(created(location, Json(NewKeyResponse::from(key))))
}

/// How long the former secret of a key goes on.
const OVERLAP_SECONDS: CountField = CountField::new("overlap_seconds")
    .at_most(MAX_ROTATION_OVERLAP.as_secs().cast_signed())
    .about("How long the former secret stays good beside the new one, in seconds; 0 for not at all.");

request_object! {
    /// How a key gets another secret.
    RotateKey: Duration = read_rotate_key, {"overlap_seconds": 3600}
}

fn read_rotate_key(fields: &mut impl ReadFields) -> Duration {
    let seconds = fields.given_or(&OVERLAP_SECONDS, ROTATION_OVERLAP.as_secs().cast_signed());
    let is_negative = seconds < 0;
    if is_negative {
        fields.wrong(OVERLAP_SECONDS.name, FieldCode::OutOfRange, "must not be negative");
    }
    Duration::from_secs(seconds.unsigned_abs())
}

/// Give one of the current user's API keys another secret
///
/// In a session, after the password was confirmed. Only this answer shows the new secret; the former one stays good for
/// a while.
#[utoipa::path(
    post,
    path = "/auth/api-keys/{id}/rotate",
    operation_id = "rotate_own_key",
    tag = "keys",
    params(KeyPath),
    request_body = RotateKey,
    responses((status = 200, description = "The key with its new secret", body = NewKeyResponse), BodyProblems)
)]
pub(crate) async fn rotate(
    State(state): State<AppState>,
    UserInSession(caller): UserInSession,
    Path(path): Path<KeyPath>,
    _query: Query<NoParameters>,
    JsonBody(overlap): JsonBody<RotateKey>,
) -> Result<Json<NewKeyResponse>, Problem> {
    let id = path.key.id()?;
    caller.require_confirmation().await?;
    let rotated = state.store().keys().rotate(caller.user(), id, None, overlap).await?;
    Ok(Json(rotated.into()))
}

/// Revoke one of the current user's API keys
///
/// Takes effect immediately in this process, within 5 seconds in others.
#[utoipa::path(
    delete,
    path = "/auth/api-keys/{id}",
    operation_id = "revoke_own_key",
    tag = "keys",
    params(KeyPath),
    responses((status = 204, description = "The key is revoked"), DeleteProblems)
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    SelfManagedUser(caller): SelfManagedUser,
    Path(path): Path<KeyPath>,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    state.store().keys().revoke(caller.user(), path.key.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
