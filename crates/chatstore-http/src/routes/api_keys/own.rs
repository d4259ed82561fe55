//! The caller's own API keys.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::fields::{EXPIRES_AT, KEY_NAME};
use chatstore::{ApiKeyScope, FieldCode, NewKey, Timestamp, UserId, Validate, Validator};

use crate::body::ValidBody;
use crate::caller::SelfManagedUser;
use crate::error::Problem;
use crate::openapi::{BodyProblems, DeleteProblems, ReadProblems};
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
}

impl Validate for KeyInput {
    fn check(&self, validator: &mut Validator) {
        KEY_NAME.check(validator, self.name.as_deref());
    }
}

request_object! {
    /// What an API key is created with.
    CreateKey: KeyInput = KeyInput::read, {"name": "laptop"}
}

impl KeyInput {
    /// The fields that every new key is read with.
    pub(crate) fn read(fields: &mut impl ReadFields) -> Self {
        Self { name: fields.optional(&KEY_NAME), expires_at: fields.optional(&EXPIRES_AT) }
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
        Ok(state.store().keys().create(user, scope, self.name, self.expires_at).await?)
    }
}

/// Create an API key for the current user
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
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    SelfManagedUser(caller): SelfManagedUser,
    base_path: BasePath,
    _query: Query<NoParameters>,
    ValidBody(new): ValidBody<CreateKey>,
) -> Result<Response, Problem> {
    new.check_end(&state)?;
    let key = new.into_inner().create(&state, caller.user(), ApiKeyScope::User).await?;
    let location = base_path.path(&format!("/auth/api-keys/{}", key.key.id));
    Ok(created(location, Json(NewKeyResponse::from(key))))
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
