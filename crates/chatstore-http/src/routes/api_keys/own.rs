//! The caller's own API keys.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::{ApiKeyScope, FieldCode, Invalid, Timestamp, UserId, Validator, limits};
use utoipa::ToSchema;

use crate::body::{JsonBody, RequestBody};
use crate::caller::AccountHolder;
use crate::error::Problem;
use crate::fields::{Fields, value_of};
use crate::openapi::{BodyProblems, DeleteProblems, ReadProblems};
use crate::path::{KeyPath, Mount, Path};
use crate::query::{NoParameters, PageQuery, Query, open_cursor};
use crate::routes::responses::{ApiKeyResponse, ListResponse, NewKeyResponse, created};
use crate::state::AppState;

/// A page of a user's keys, for this caller.
pub(crate) async fn page_of(
    state: &AppState,
    query: PageQuery,
    user: UserId,
    caller: UserId,
) -> Result<Json<ListResponse<ApiKeyResponse>>, Problem> {
    let scope = format!("keys of {user} for {caller}");
    let from = open_cursor(query.cursor.as_deref(), &scope)?;
    let page = state.store().keys().page(user, from, query.limit).await?;
    Ok(Json(ListResponse::new(page, &scope, ApiKeyResponse::from)))
}

/// List one's own API keys
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
    AccountHolder(caller): AccountHolder,
    Query(query): Query<PageQuery>,
) -> Result<Json<ListResponse<ApiKeyResponse>>, Problem> {
    page_of(&state, query, caller.user(), caller.user()).await
}

/// What an API key is made with.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"name": "laptop"}))]
pub(crate) struct CreateKey {
    /// What its owner calls it.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// When it ends; never when left out.
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<Timestamp>,
}

/// A key to be made.
#[derive(Debug)]
pub(crate) struct KeyInput {
    pub(crate) name: Option<String>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl KeyInput {
    pub(crate) fn read(fields: &mut Fields) -> Self {
        let time = |text: String| {
            text.parse().map_err(|_| {
                (FieldCode::InvalidFormat, "must be a time like 2026-03-01T12:00:00Z (RFC 3339)".to_owned())
            })
        };
        Self {
            name: value_of(fields.nullable_text("name")),
            expires_at: value_of(fields.nullable_parsed("expires_at", time)),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let mut validator = Validator::default();
        if let Some(name) = &self.name {
            validator.filled_text("name", name, limits::KEY_NAME);
        }
        validator.finish()
    }

    /// Fails when the key would have ended before it begins.
    pub(crate) fn check_end(&self, state: &AppState) -> Result<(), Problem> {
        if self.expires_at.is_some_and(|end| end <= state.store().now()) {
            return Err(Problem::wrong("expires_at", FieldCode::OutOfRange, "must be in the future"));
        }
        Ok(())
    }

    /// Makes the key; the answer shows it this once.
    pub(crate) async fn make(
        self,
        state: &AppState,
        user: UserId,
        scope: ApiKeyScope,
    ) -> Result<NewKeyResponse, Problem> {
        Ok(state.store().keys().create(user, scope, self.name, self.expires_at).await?.into())
    }
}

impl RequestBody for CreateKey {
    type Input = KeyInput;

    fn read(fields: &mut Fields) -> Self {
        let KeyInput { name, expires_at } = KeyInput::read(fields);
        Self { name, expires_at }
    }

    fn into_input(self) -> KeyInput {
        KeyInput { name: self.name, expires_at: self.expires_at }
    }

    fn check(input: &KeyInput) -> Result<(), Invalid> {
        input.check()
    }
}

/// Make an API key of one's own
#[utoipa::path(
    post,
    path = "/auth/api-keys",
    operation_id = "create_own_key",
    tag = "keys",
    request_body = CreateKey,
    responses(
        (
            status = 201,
            description = "The new key, with its text, which is shown this once",
            body = NewKeyResponse,
            headers(("Location" = String)),
        ),
        BodyProblems,
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    AccountHolder(caller): AccountHolder,
    mount: Mount,
    _query: Query<NoParameters>,
    JsonBody(new): JsonBody<CreateKey>,
) -> Result<Response, Problem> {
    new.check_end(&state)?;
    let key = new.make(&state, caller.user(), ApiKeyScope::User).await?;
    Ok(created(mount.path(&format!("/auth/api-keys/{}", key.id())), Json(key)))
}

/// Withdraw one of one's own API keys
///
/// At once in this process, within 5 seconds in others.
#[utoipa::path(
    delete,
    path = "/auth/api-keys/{id}",
    operation_id = "revoke_own_key",
    tag = "keys",
    params(KeyPath),
    responses((status = 204, description = "It is of no more use"), DeleteProblems)
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    AccountHolder(caller): AccountHolder,
    Path(path): Path<KeyPath>,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    state.store().keys().revoke(caller.user(), path.key()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
