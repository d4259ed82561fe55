//! One user, for administrators: created, found or created, read, changed, erased.

pub(crate) mod list;
pub(crate) mod me;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chatstore::auth::Password;
use chatstore::fields::{
    EMAIL, EMAIL_VERIFIED, FULL_NAME, IS_ACTIVE, METADATA, MUST_CHANGE_PASSWORD, PASSWORD, USER_ROLE,
    USERNAME,
};
use chatstore::{CanonicalJson, Change, Email, FromText, NewUser, User, UserId, UserPatch, UserRole};

use crate::body::{JsonBody, ValidBody};
use crate::caller::Admin;
use crate::error::Problem;
use crate::openapi::{BodyProblems, ConflictProblem, DeleteProblems, ReadProblems};
use crate::path::{BasePath, EmailPath, Path, UserPath};
use crate::query::{NoParameters, Query};
use crate::request::ReadFields;
use crate::routes::REPLACES_METADATA;
use crate::routes::responses::{UserResponse, created};
use crate::schema::request_object;
use crate::state::AppState;

request_object! {
    /// A user to be created: at least one of name and e-mail address.
    CreateUser: (NewUser, Option<Password>) = read_create_user, {
        "username": "ada", "email": "ada@example.org"
    }
}

fn read_create_user(fields: &mut impl ReadFields) -> (NewUser, Option<Password>) {
    let (username, email) = (fields.optional(&USERNAME), fields.optional(&EMAIL));
    let password = PASSWORD.about(
        "A maximum of 1,024 bytes; not a common one. Without one the user cannot log in with a password.",
    );
    let password = fields.given(&password).map(Password::new);
    let new = NewUser {
        username,
        is_email_verified: fields.given(&EMAIL_VERIFIED).unwrap_or(email.is_some()),
        email,
        full_name: fields.optional(&FULL_NAME),
        role: fields.given_or(&USER_ROLE, UserRole::User),
        is_active: fields.given_or(&IS_ACTIVE, true),
        must_change_password: fields.given_or(&MUST_CHANGE_PASSWORD, false),
        metadata: fields.given(&METADATA).unwrap_or_else(CanonicalJson::object),
        ..NewUser::default()
    };
    (new, password)
}

/// Create a user
///
/// For administrators and service keys.
#[utoipa::path(
    post,
    path = "/users",
    operation_id = "create_user",
    tag = "users",
    request_body = CreateUser,
    responses(
        (
            status = 201,
            description = "The new user",
            body = UserResponse,
            headers(("Location" = String)),
            links(("get_user" = (operation_id = "get_user", parameters(("id" = "$response.body#/id"))))),
        ),
        BodyProblems,
        ConflictProblem,
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    admin: Admin,
    base_path: BasePath,
    _query: Query<NoParameters>,
    ValidBody(new): ValidBody<CreateUser>,
) -> Result<Response, Problem> {
    let (new, password) = new.split();
    admin.over_all_users()?;
    if new.role == UserRole::Admin {
        admin.over_admins()?;
    }
    let users = state.store().users();
    let user = match password {
        Some(password) => users.create_with_password(new, password).await?,
        None => users.create(new).await?,
    };
    Ok(created_user(&base_path, admin.seen(user)))
}

/// 201 with the location of the user.
fn created_user(base_path: &BasePath, user: User) -> Response {
    created(base_path.path(&format!("/users/{}", user.id)), Json(UserResponse::from(user)))
}

/// A user that this administrator may change.
pub(crate) async fn load_editable(state: &AppState, admin: &Admin, id: UserId) -> Result<User, Problem> {
    let user = state.store().users().get(id).await?;
    admin.over(&user)?;
    Ok(user)
}

/// Get a user
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
    admin: Admin,
    Path(path): Path<UserPath>,
    _query: Query<NoParameters>,
) -> Result<Json<UserResponse>, Problem> {
    let user = state.store().users().get(path.user.id()?).await?;
    admin.sees(&user)?;
    Ok(Json(admin.seen(user).into()))
}

/// The fields that every change of a user is read with.
pub(crate) fn user_patch(fields: &mut impl ReadFields) -> UserPatch {
    UserPatch {
        username: fields.nullable(&USERNAME),
        email: fields.nullable(&EMAIL),
        full_name: fields.nullable(&FULL_NAME),
        ..UserPatch::default()
    }
}

/// Whether a change gives a user another address.
pub(crate) fn changes_email(patch: &UserPatch, user: &User) -> bool {
    match &patch.email {
        Change::Keep => false,
        Change::Clear => user.email.is_some(),
        Change::Set(email) => user.email.as_deref() != Some(email.as_typed()),
    }
}

request_object! {
    /// Changes of a user. What is left out stays, null clears; the last of name and address cannot be cleared.
    ChangeUser: UserPatch = read_change_user, {"full_name": "Ada Lovelace", "is_active": false}
}

fn read_change_user(fields: &mut impl ReadFields) -> UserPatch {
    let patch = user_patch(fields);
    let is_email_verified = fields.given(&EMAIL_VERIFIED).or(patch.email.value().map(|_| true));
    UserPatch {
        is_email_verified,
        role: fields.given(&USER_ROLE),
        is_active: fields.given(&IS_ACTIVE),
        must_change_password: fields.given(&MUST_CHANGE_PASSWORD),
        metadata: fields.given(&METADATA.about(REPLACES_METADATA)),
        ..patch
    }
}

/// Change a user
///
/// For administrators and service keys. An address that they set is verified. The last active administrator keeps the
/// role; a user who becomes one loses all API keys. Administrators confirm the password before they change their own
/// address.
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
    ValidBody(patch): ValidBody<ChangeUser>,
) -> Result<Json<UserResponse>, Problem> {
    let user = load_editable(&state, &admin, path.user.id()?).await?;
    if patch.role == Some(UserRole::Admin) {
        admin.over_admins()?;
    }
    if changes_email(&patch, &user) {
        admin.require_confirmation_for_own(&state, user.id).await?;
    }
    Ok(Json(admin.seen(state.store().users().update(user.id, patch).await?).into()))
}

/// Erase a user
///
/// Deletes the user with everything they own; counts and previews of conversations shared with others are
/// corrected. For administrators and service keys. The last active administrator cannot be erased.
#[utoipa::path(
    delete,
    path = "/users/{id}",
    operation_id = "erase_user",
    tag = "users",
    params(UserPath),
    responses((status = 204, description = "The user and everything they owned are deleted"), DeleteProblems, ConflictProblem)
)]
pub(crate) async fn erase(
    State(state): State<AppState>,
    admin: Admin,
    Path(path): Path<UserPath>,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    let user = load_editable(&state, &admin, path.user.id()?).await?;
    admin.require_confirmation_for_own(&state, user.id).await?;
    state.store().users().erase(user.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

request_object! {
    /// What a user is created with, when there is none.
    PutUser: NewUser = read_put_user, {"full_name": "Ada Lovelace"}
}

fn read_put_user(fields: &mut impl ReadFields) -> NewUser {
    NewUser {
        username: fields.optional(&USERNAME),
        full_name: fields.optional(&FULL_NAME),
        metadata: fields.given(&METADATA).unwrap_or_else(CanonicalJson::object),
        ..NewUser::default()
    }
}

/// Get or create a user by e-mail address
///
/// Returns the user whose verified address it is, unchanged, whatever the body says; else creates one with this address,
/// verified. A user who only claims the address is not returned: send addresses that you have verified. Of several
/// concurrent requests exactly one creates the user. For administrators and service keys.
#[utoipa::path(
    put,
    path = "/users/by-email/{email}",
    operation_id = "put_user_by_email",
    tag = "users",
    params(EmailPath),
    request_body = PutUser,
    responses(
        (status = 200, description = "The user existed", body = UserResponse),
        (status = 201, description = "The user was created", body = UserResponse, headers(("Location" = String))),
        BodyProblems,
        ConflictProblem,
    )
)]
pub(crate) async fn put_by_email(
    State(state): State<AppState>,
    admin: Admin,
    base_path: BasePath,
    Path(path): Path<EmailPath>,
    _query: Query<NoParameters>,
    JsonBody(new): JsonBody<PutUser>,
) -> Result<Response, Problem> {
    let email =
        Email::from_text(path.email).map_err(|(code, message)| Problem::wrong(EMAIL.name, code, message))?;
    admin.over_all_users()?;
    let new = NewUser { email: Some(email), ..new };
    let (user, is_new) = state.store().users().get_or_create(new).await?;
    let user = admin.seen(user);
    if is_new {
        Ok(created_user(&base_path, user))
    } else {
        Ok(Json(UserResponse::from(user)).into_response())
    }
}
