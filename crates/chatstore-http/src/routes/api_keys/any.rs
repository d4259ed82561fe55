//! The API keys of any user, for administrators.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::fields::{KEY_NAMESPACE, KEY_PROVISION, KEY_SCOPE, KEY_USERS};
use chatstore::{ApiKeyScope, FieldCode, UserRole};

use crate::body::ValidBody;
use crate::caller::{Admin, AdminInSession};
use crate::error::Problem;
use crate::openapi::{BodyProblems, DeleteProblems, ReadProblems};
use crate::path::{BasePath, Path, UserKeyPath, UserPath};
use crate::query::{NoParameters, PageQuery, Query};
use crate::request::ReadFields;
use crate::routes::api_keys::own::{KeyInput, page_of};
use crate::routes::responses::{ApiKeyResponse, ListResponse, NewKeyResponse, created};
use crate::routes::users::load_editable;
use crate::schema::request_object;
use crate::state::AppState;

/// List a user's API keys
///
/// The oldest first. For administrators and service keys.
#[utoipa::path(
    get,
    path = "/users/{id}/api-keys",
    operation_id = "list_user_keys",
    tag = "keys",
    params(UserPath, PageQuery),
    responses((status = 200, description = "A page of keys", body = ListResponse<ApiKeyResponse>), ReadProblems)
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<UserPath>,
    Query(query): Query<PageQuery>,
) -> Result<ListResponse<ApiKeyResponse>, Problem> {
    let user = load_editable(&state, &admin, path.user.id()?).await?;
    page_of(&state, query, user.id, admin.holder()).await
}

request_object! {
    /// What an API key is created with.
    CreateUserKey: (KeyInput, ApiKeyScope) = read_create_user_key, {"name": "backend", "scope": "service"}
}

fn read_create_user_key(fields: &mut impl ReadFields) -> (KeyInput, ApiKeyScope) {
    let mut input = KeyInput::read(fields);
    let scope = fields.given_or(&KEY_SCOPE, ApiKeyScope::User);
    input.rights.users = fields.given(&KEY_USERS).unwrap_or_default();
    input.rights.namespace = fields.given(&KEY_NAMESPACE);
    input.rights.provision = fields.given(&KEY_PROVISION);
    (input, scope)
}

/// Create an API key for a user
///
/// For administrators in a session, after the password was confirmed: a key creates no keys.
#[utoipa::path(
    post,
    path = "/users/{id}/api-keys",
    operation_id = "create_user_key",
    tag = "keys",
    params(UserPath),
    request_body = CreateUserKey,
    responses(
        (
            status = 201,
            description = "The new key, with its secret text, which is shown only once",
            body = NewKeyResponse,
            headers(("Location" = String)),
        ),
        BodyProblems,
        crate::openapi::ConflictProblem,
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    AdminInSession(admin): AdminInSession,
    base_path: BasePath,
    Path(path): Path<UserPath>,
    _query: Query<NoParameters>,
    ValidBody(key): ValidBody<CreateUserKey>,
) -> Result<Response, Problem> {
    let (new, scope) = key.into_inner();
    new.check_end(&state)?;
    let user = load_editable(&state, &admin, path.user.id()?).await?;
    if scope == ApiKeyScope::Service && user.role != UserRole::Admin {
        let message = "must be user: a service key belongs to an administrator";
        return Err(Problem::wrong("scope", FieldCode::NotAllowed, message));
    }
    admin.require_confirmation(&state).await?;
    let key = new.create(&state, user.id, scope).await?;
    let location = base_path.path(&format!("/users/{}/api-keys/{}", user.id, key.key.id));
    Ok(created(location, Json(NewKeyResponse::from(key))))
}

/// Revoke a user's API key
///
/// Takes effect immediately in this process, within 5 seconds in others. For administrators and service keys.
#[utoipa::path(
    delete,
    path = "/users/{id}/api-keys/{key_id}",
    operation_id = "revoke_user_key",
    tag = "keys",
    params(UserKeyPath),
    responses((status = 204, description = "The key is revoked"), DeleteProblems)
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<UserKeyPath>,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    let user = load_editable(&state, &admin, path.user.id()?).await?;
    state.store().keys().revoke(user.id, path.key.id()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
