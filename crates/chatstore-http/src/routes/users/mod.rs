//! One user, for administrators: made, found or made, read, changed, erased.

pub(crate) mod list;
pub(crate) mod me;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chatstore::{
    Change, Email, FieldCode, Invalid, InvalidName, Json, NewUser, Password, User, UserId, UserName,
    UserPatch, UserRole,
};
use utoipa::ToSchema;

use crate::body::{JsonBody, RequestBody};
use crate::caller::Admin;
use crate::error::Problem;
use crate::fields::{Fields, value_of};
use crate::openapi::{BodyProblems, ConflictProblem, DeleteProblems, ReadProblems};
use crate::path::{EmailPath, Mount, Path, UserPath};
use crate::query::{NoParameters, Query};
use crate::routes::responses::{UserResponse, UserRoleWord, created};
use crate::state::AppState;

pub(crate) fn username(text: String) -> Result<UserName, (FieldCode, String)> {
    UserName::new(text).map_err(refused)
}

pub(crate) fn email(text: String) -> Result<Email, (FieldCode, String)> {
    Email::new(text).map_err(refused)
}

fn refused(error: InvalidName) -> (FieldCode, String) {
    (error.code(), error.to_string())
}

fn user_role(fields: &mut Fields) -> Option<UserRole> {
    fields.word("role", "admin, user", UserRole::parse)
}

/// A user to be made: at least one of name and e-mail address.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"username": "ada", "email": "ada@example.org"}))]
pub(crate) struct CreateUser {
    /// Without control, zero-width and private-use characters; unique however it is spelled.
    #[schema(value_type = Option<String>, min_length = 3, max_length = 64)]
    username: Option<UserName>,
    /// Unique however it is spelled.
    #[schema(value_type = Option<String>, min_length = 3, max_length = 254, pattern = r"^[^@\s]+@[^@\s]+$")]
    email: Option<Email>,
    /// At most 1,024 bytes; not a common one. Without one the user cannot log in with a password.
    #[schema(value_type = Option<String>, nullable = false, min_length = 12, max_length = 256, format = "password")]
    password: Option<Password>,
    #[schema(max_length = 255)]
    full_name: Option<String>,
    #[schema(value_type = Option<UserRoleWord>, nullable = false, default = "user")]
    role: Option<UserRole>,
    #[schema(nullable = false, default = true)]
    is_active: Option<bool>,
    #[schema(nullable = false, default = false)]
    must_change_password: Option<bool>,
    /// The application's own data, at most 64 KiB as JSON.
    #[schema(value_type = Object, required = false)]
    metadata: Option<Json>,
}

impl RequestBody for CreateUser {
    type Input = (NewUser, Option<Password>);

    fn read(fields: &mut Fields) -> Self {
        Self {
            username: value_of(fields.nullable_parsed("username", username)),
            email: value_of(fields.nullable_parsed("email", email)),
            password: fields.text("password").map(Password::new),
            full_name: value_of(fields.nullable_text("full_name")),
            role: user_role(fields),
            is_active: fields.flag("is_active"),
            must_change_password: fields.flag("must_change_password"),
            metadata: fields.json("metadata"),
        }
    }

    fn into_input(self) -> (NewUser, Option<Password>) {
        let new = NewUser {
            username: self.username,
            email: self.email,
            full_name: self.full_name,
            role: self.role.unwrap_or(UserRole::User),
            is_active: self.is_active.unwrap_or(true),
            must_change_password: self.must_change_password.unwrap_or(false),
            metadata: self.metadata.unwrap_or_else(Json::object),
            ..NewUser::default()
        };
        (new, self.password)
    }

    fn check((new, _): &(NewUser, Option<Password>)) -> Result<(), Invalid> {
        new.validate()
    }
}

/// Make a user
///
/// For administrators and service keys.
#[utoipa::path(
    post,
    path = "/users",
    operation_id = "create_user",
    tag = "users",
    request_body = CreateUser,
    responses(
        (status = 201, description = "The new user", body = UserResponse, headers(("Location" = String))),
        BodyProblems,
        ConflictProblem,
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    admin: Admin,
    mount: Mount,
    _query: Query<NoParameters>,
    JsonBody((new, password)): JsonBody<CreateUser>,
) -> Result<Response, Problem> {
    if new.role == UserRole::Admin {
        admin.over_admins()?;
    }
    let users = state.store().users();
    let user = match password {
        Some(password) => users.create_with_password(new, password).await?,
        None => users.create(new).await?,
    };
    let user = UserResponse::from(user);
    Ok(created(mount.path(&format!("/users/{}", user.id())), JsonAnswer(user)))
}

/// A user that an administrator may see.
pub(crate) async fn load_visible(state: &AppState, id: UserId) -> Result<User, Problem> {
    Ok(state.store().users().get(id).await?)
}

/// A user that this administrator may change.
pub(crate) async fn load_editable(state: &AppState, admin: Admin, id: UserId) -> Result<User, Problem> {
    let user = load_visible(state, id).await?;
    if user.role == UserRole::Admin {
        admin.over_admins()?;
    }
    Ok(user)
}

/// Read a user
///
/// For administrators and service keys.
#[utoipa::path(
    get,
    path = "/users/{id}",
    operation_id = "get_user",
    tag = "users",
    params(UserPath),
    responses((status = 200, description = "The user", body = UserResponse), ReadProblems)
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    _admin: Admin,
    Path(path): Path<UserPath>,
    _query: Query<NoParameters>,
) -> Result<JsonAnswer<UserResponse>, Problem> {
    Ok(JsonAnswer(load_visible(&state, path.user()?).await?.into()))
}

/// Changes of a user. What is left out stays, null clears; the last of name and address cannot be cleared.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"full_name": "Ada Lovelace", "is_active": false}))]
pub(crate) struct ChangeUser {
    #[schema(value_type = Option<String>, min_length = 3, max_length = 64)]
    username: Change<UserName>,
    #[schema(value_type = Option<String>, min_length = 3, max_length = 254, pattern = r"^[^@\s]+@[^@\s]+$")]
    email: Change<Email>,
    #[schema(value_type = Option<String>, max_length = 255)]
    full_name: Change<String>,
    #[schema(value_type = Option<UserRoleWord>, nullable = false)]
    role: Option<UserRole>,
    #[schema(nullable = false)]
    is_active: Option<bool>,
    #[schema(nullable = false)]
    must_change_password: Option<bool>,
    /// Replaces the metadata whole.
    #[schema(value_type = Object, required = false)]
    metadata: Option<Json>,
}

impl RequestBody for ChangeUser {
    type Input = UserPatch;

    fn read(fields: &mut Fields) -> Self {
        Self {
            username: fields.nullable_parsed("username", username),
            email: fields.nullable_parsed("email", email),
            full_name: fields.nullable_text("full_name"),
            role: user_role(fields),
            is_active: fields.flag("is_active"),
            must_change_password: fields.flag("must_change_password"),
            metadata: fields.json("metadata"),
        }
    }

    fn into_input(self) -> UserPatch {
        UserPatch {
            username: self.username,
            email: self.email,
            full_name: self.full_name,
            role: self.role,
            is_active: self.is_active,
            must_change_password: self.must_change_password,
            metadata: self.metadata,
        }
    }

    fn check(input: &UserPatch) -> Result<(), Invalid> {
        input.validate()
    }
}

/// Change a user
///
/// For administrators and service keys. The last active administrator stays one.
#[utoipa::path(
    patch,
    path = "/users/{id}",
    operation_id = "change_user",
    tag = "users",
    params(UserPath),
    request_body = ChangeUser,
    responses((status = 200, description = "The changed user", body = UserResponse), BodyProblems, ConflictProblem)
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<UserPath>,
    _query: Query<NoParameters>,
    JsonBody(patch): JsonBody<ChangeUser>,
) -> Result<JsonAnswer<UserResponse>, Problem> {
    let user = load_editable(&state, admin, path.user()?).await?;
    if patch.role == Some(UserRole::Admin) {
        admin.over_admins()?;
    }
    Ok(JsonAnswer(state.store().users().update(user.id, patch).await?.into()))
}

/// Erase a user
///
/// With everything that is the user's; counts and previews of conversations shared with others are repaired.
/// For administrators and service keys. The last active administrator stays.
#[utoipa::path(
    delete,
    path = "/users/{id}",
    operation_id = "erase_user",
    tag = "users",
    params(UserPath),
    responses((status = 204, description = "Nothing of the user is left"), DeleteProblems, ConflictProblem)
)]
pub(crate) async fn erase(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<UserPath>,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    let user = load_editable(&state, admin, path.user()?).await?;
    state.store().users().erase(user.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a user is made with, when there is none.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"full_name": "Ada Lovelace"}))]
pub(crate) struct PutUser {
    #[schema(value_type = Option<String>, min_length = 3, max_length = 64)]
    username: Option<UserName>,
    #[schema(max_length = 255)]
    full_name: Option<String>,
    /// The application's own data, at most 64 KiB as JSON.
    #[schema(value_type = Object, required = false)]
    metadata: Option<Json>,
}

impl RequestBody for PutUser {
    type Input = PutUser;

    fn read(fields: &mut Fields) -> Self {
        Self {
            username: value_of(fields.nullable_parsed("username", username)),
            full_name: value_of(fields.nullable_text("full_name")),
            metadata: fields.json("metadata"),
        }
    }

    fn into_input(self) -> PutUser {
        self
    }

    fn check(input: &PutUser) -> Result<(), Invalid> {
        let patch = UserPatch {
            full_name: input.full_name.clone().map_or(Change::Keep, Change::Set),
            metadata: input.metadata.clone(),
            ..UserPatch::default()
        };
        patch.validate()
    }
}

/// Get or make a user by e-mail address
///
/// An existing one is answered as he is, unchanged by the body. Of several requests at once one makes him.
/// For administrators and service keys.
#[utoipa::path(
    put,
    path = "/users/by-email/{email}",
    operation_id = "put_user_by_email",
    tag = "users",
    params(EmailPath),
    request_body = PutUser,
    responses(
        (status = 200, description = "The user was there", body = UserResponse),
        (status = 201, description = "The user was made", body = UserResponse, headers(("Location" = String))),
        BodyProblems,
        ConflictProblem,
    )
)]
pub(crate) async fn put_by_email(
    State(state): State<AppState>,
    _admin: Admin,
    mount: Mount,
    Path(path): Path<EmailPath>,
    _query: Query<NoParameters>,
    JsonBody(put): JsonBody<PutUser>,
) -> Result<Response, Problem> {
    let email = email(path.email).map_err(|(code, message)| Problem::wrong("email", code, message))?;
    let new = NewUser {
        username: put.username,
        full_name: put.full_name,
        metadata: put.metadata.unwrap_or_else(Json::object),
        ..NewUser::with_email(email)
    };
    let (user, is_new) = state.store().users().get_or_create(new).await?;
    let user = UserResponse::from(user);
    if !is_new {
        return Ok(JsonAnswer(user).into_response());
    }
    Ok(created(mount.path(&format!("/users/{}", user.id())), JsonAnswer(user)))
}
