//! Registration, login, refresh, logout and the change of a password.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::auth::{Credential, LoginName, OwnKeys, Password, Tokens};
use chatstore::fields::{EMAIL, FULL_NAME, PASSWORD, USERNAME};
use chatstore::{
    FieldCode, FlagField, Invalid, NewUser, SessionId, TextField, TextForm, Timestamp, Validator, limits,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::{JsonBody, ValidBody};
use crate::caller::{SelfManagedUser, UnauthenticatedClient};
use crate::client::Client;
use crate::error::{Problem, ProblemKind};
use crate::fields::NoFields;
use crate::openapi::{BodyProblems, ConflictProblem, CredentialProblems};
use crate::path::BasePath;
use crate::query::{NoParameters, Query};
use crate::request::ReadFields;
use crate::routes::responses::{UserResponse, created};
use crate::schema::request_object;
use crate::state::AppState;

/// What a login or a refresh returns.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens, example = json!({
    "access_token": "eyJhbGciOiJIUzI1NiIsImtpZCI6Ijk3ZWI5Zjc2OWY3N2IyYTgiLCJ0eXAiOiJhdCtqd3QifQ.e30.c2ln",
    "token_type": "Bearer", "expires_in": 600,
    "refresh_token": "cr_1BwtYBRnzP4aQmVxK7sD8c_1BwtYBRpDkXPJhkEf5jY6d_0_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
    "refresh_expires_in": 1_209_600, "session_id": "0195f1d4-7c00-7d21-b6f0-3e5a9c8d7f10",
    "user": {
        "id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "short_id": "1BwtYBRnzP4aQmVxK7sD8c", "username": "ada",
        "email": "ada@example.org", "email_verified_at": null, "full_name": "Ada Lovelace", "role": "user", "is_active": true,
        "must_change_password": false, "metadata": {}, "created_at": "2026-03-01T12:00:00.000000Z",
        "updated_at": "2026-03-01T12:00:00.000000Z", "external_namespace": null, "external_id": null
    }
}))]
pub(crate) struct TokensResponse {
    /// For `Authorization: Bearer …`.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: i64,
    /// Returns the next tokens, once.
    refresh_token: String,
    /// Seconds until the refresh token expires.
    refresh_expires_in: i64,
    #[schema(value_type = String, format = "uuid")]
    session_id: SessionId,
    user: UserResponse,
}

impl TokensResponse {
    fn new(tokens: Tokens, now: Timestamp) -> Self {
        Self {
            access_token: tokens.access_token,
            token_type: "Bearer",
            expires_in: seconds(now, tokens.access_expires_at),
            refresh_token: tokens.refresh_token,
            refresh_expires_in: seconds(now, tokens.refresh_expires_at),
            session_id: tokens.session_id,
            user: tokens.user.into(),
        }
    }
}

/// Seconds from one instant to another, of which the last may have begun.
fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    let microseconds = to.as_microseconds().saturating_sub(from.as_microseconds());
    microseconds.saturating_add(999_999) / 1_000_000
}

/// A password or token that must be there.
fn secret(fields: &mut impl ReadFields, field: &TextField) -> String {
    let text = fields.required(field);
    if text.contains('\0') {
        fields.wrong(field.name, FieldCode::NulCharacter, "must not contain the NUL character (U+0000)");
    }
    text
}

request_object! {
    /// A new user: at least one of name and e-mail address.
    Register: (NewUser, Password) = read_register, {"username": "ada", "password": "correct horse battery"}
}

fn read_register(fields: &mut impl ReadFields) -> (NewUser, Password) {
    let (username, email) = (fields.optional(&USERNAME), fields.optional(&EMAIL));
    let password = Password::new(secret(fields, &PASSWORD));
    (NewUser { username, email, full_name: fields.optional(&FULL_NAME), ..NewUser::default() }, password)
}

/// Register
///
/// Where the server allows it. The e-mail address is claimed until an administrator or a service verifies it: 409 if another
/// user claims it, but not if another user has it verified.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    tag = "auth",
    security(()),
    request_body = Register,
    responses(
        (status = 201, description = "The new user", body = UserResponse, headers(("Location" = String))),
        CredentialProblems,
        ConflictProblem,
    )
)]
pub(crate) async fn register(
    State(state): State<AppState>,
    _client: UnauthenticatedClient,
    _open: OpenRegistration,
    Client(client): Client,
    base_path: BasePath,
    _query: Query<NoParameters>,
    ValidBody(new): ValidBody<Register>,
) -> Result<Response, Problem> {
    let (new, password) = new.split();
    let user = state.store().auth().from(client).register(new, password).await?;
    Ok(created(base_path.path("/users/me"), Json(UserResponse::from(user))))
}

/// Admits a request where registration is open and users have passwords.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenRegistration;

impl FromRequestParts<AppState> for OpenRegistration {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &AppState,
    ) -> Result<Self, Problem> {
        LocalPasswords::from_request_parts(parts, state).await?;
        if state.policy().takes_registrations {
            return Ok(Self);
        }
        let detail = "registration is closed; an administrator creates users";
        Err(Problem::new(ProblemKind::RegistrationClosed, detail))
    }
}

/// Admits a request where users have passwords.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalPasswords;

impl FromRequestParts<AppState> for LocalPasswords {
    type Rejection = Problem;

    async fn from_request_parts(
        _parts: &mut axum::http::request::Parts,
        state: &AppState,
    ) -> Result<Self, Problem> {
        if state.store().auth().has_local_passwords() {
            return Ok(Self);
        }
        let detail = "passwords are switched off; sign in with the identity provider";
        Err(Problem::new(ProblemKind::PasswordsOff, detail))
    }
}

/// The name of a user who logs in.
const LOGIN_NAME: TextField =
    TextField::new("username").at_most(limits::EMAIL).about("A name; also an e-mail address.");

/// The e-mail address of a user who logs in.
const LOGIN_EMAIL: TextField = TextField::new("email").at_most(limits::EMAIL);

/// The password of a user who logs in.
const LOGIN_PASSWORD: TextField = TextField::new("password").formed(TextForm::Password);

request_object! {
    /// A user's credentials: one of name and e-mail address, and the password.
    Login: (LoginName, Password) = read_login, {"username": "ada", "password": "correct horse battery"}
}

fn read_login(fields: &mut impl ReadFields) -> (LoginName, Password) {
    match (fields.has(LOGIN_NAME.name), fields.has(LOGIN_EMAIL.name)) {
        (true, true) => fields.wrong("email", FieldCode::NotAllowed, "must not be given beside username"),
        (false, false) => {
            fields.wrong("username", FieldCode::Required, "username or email must be given");
        }
        _ => {}
    }
    let (username, email) = (login_name(fields, &LOGIN_NAME), login_name(fields, &LOGIN_EMAIL));
    let name = match email {
        Some(email) => LoginName::Email(email),
        None => LoginName::Username(username.unwrap_or_default()),
    };
    (name, Password::new(secret(fields, &LOGIN_PASSWORD)))
}

/// A name, which is looked up only when it is no longer than any.
fn login_name(fields: &mut impl ReadFields, field: &TextField) -> Option<String> {
    let name = fields.given(field)?;
    let mut validator = Validator::default();
    field.check(&mut validator, Some(&name));
    let Err(Invalid(errors)) = validator.finish() else { return Some(name) };
    for error in errors {
        fields.wrong(field.name, error.code, &error.message);
    }
    Some(String::new())
}

/// Log in
///
/// Starts a session. An unknown name, a wrong password and a disabled user are answered alike.
#[utoipa::path(
    post,
    path = "/auth/login",
    operation_id = "login",
    tag = "auth",
    security(()),
    request_body = Login,
    responses(
        (
            status = 200,
            description = "The tokens of a new session",
            body = TokensResponse,
            links(
                ("revoke_session" = (
                    operation_id = "revoke_session",
                    parameters(("id" = "$response.body#/session_id"))
                )),
            ),
        ),
        CredentialProblems,
    )
)]
pub(crate) async fn login(
    State(state): State<AppState>,
    _client: UnauthenticatedClient,
    _passwords: LocalPasswords,
    Client(client): Client,
    _query: Query<NoParameters>,
    JsonBody((name, password)): JsonBody<Login>,
) -> Result<Json<TokensResponse>, Problem> {
    let tokens = state.store().auth().from(client).login(name, password).await?;
    Ok(Json(TokensResponse::new(tokens, state.store().now())))
}

request_object! {
    /// A refresh token.
    Refresh: String = read_refresh, {
        "refresh_token": "cr_1BwtYBRnzP4aQmVxK7sD8c_1BwtYBRpDkXPJhkEf5jY6d_0_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
    }
}

fn read_refresh(fields: &mut impl ReadFields) -> String {
    secret(fields, &TextField::new("refresh_token"))
}

/// Refresh a session
///
/// Returns the next refresh token and an access token. The same token may be sent again because the answer was lost, and
/// returns the same next token, for 24 hours while neither that nor the access token was used; another tab may send it
/// for 10 seconds even if the access token was. Sending it later, or once the next token was used, ends the session.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    operation_id = "refresh",
    tag = "auth",
    security(()),
    request_body = Refresh,
    responses((status = 200, description = "The next tokens", body = TokensResponse), CredentialProblems)
)]
pub(crate) async fn refresh(
    State(state): State<AppState>,
    _client: UnauthenticatedClient,
    _passwords: LocalPasswords,
    Client(client): Client,
    _query: Query<NoParameters>,
    JsonBody(token): JsonBody<Refresh>,
) -> Result<Json<TokensResponse>, Problem> {
    let tokens = state.store().auth().from(client).refresh(&token).await?;
    Ok(Json(TokensResponse::new(tokens, state.store().now())))
}

/// Log out
///
/// Ends the session of the access token: immediately in this process, within 5 seconds in others.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    tag = "auth",
    responses((status = 204, description = "The session has ended"), BodyProblems, ConflictProblem)
)]
pub(crate) async fn logout(
    State(state): State<AppState>,
    SelfManagedUser(caller): SelfManagedUser,
    _query: Query<NoParameters>,
    JsonBody(()): JsonBody<NoFields>,
) -> Result<StatusCode, Problem> {
    let Some(session) = caller.session() else {
        let detail = match caller.credential() {
            Some(Credential::Provider) => {
                "a token of an identity provider has no session here; log out there, or everywhere"
            }
            Some(Credential::Application) => {
                "a user of the application's own login has no session here; log out there, or everywhere"
            }
            _ => "an API key has no session; revoke the key instead",
        };
        return Err(Problem::new(ProblemKind::Conflict, detail));
    };
    state.store().auth().logout(caller.user(), session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether API keys end too.
const REVOKE_KEYS: FlagField =
    FlagField { name: "api_keys", about: "Whether to revoke all API keys of the user as well." };

fn read_own_keys(fields: &mut impl ReadFields) -> OwnKeys {
    match fields.given_or(&REVOKE_KEYS, false) {
        true => OwnKeys::Revoke,
        false => OwnKeys::Keep,
    }
}

request_object! {
    /// What else ends with the sessions.
    LogoutAll: OwnKeys = read_own_keys, {"api_keys": true}
}

/// Log out everywhere
///
/// Ends all sessions of the current user, refuses the tokens that an identity provider issued to them up to now, and
/// revokes their API keys if that is asked for.
#[utoipa::path(
    post,
    path = "/auth/logout-all",
    operation_id = "logout_all",
    tag = "auth",
    request_body = LogoutAll,
    responses((status = 204, description = "All sessions have ended"), BodyProblems)
)]
pub(crate) async fn logout_all(
    State(state): State<AppState>,
    SelfManagedUser(caller): SelfManagedUser,
    _query: Query<NoParameters>,
    JsonBody(keys): JsonBody<LogoutAll>,
) -> Result<StatusCode, Problem> {
    state.store().auth().logout_all(caller.user(), keys).await?;
    Ok(StatusCode::NO_CONTENT)
}

request_object! {
    /// A new password, and the current one.
    ChangePassword: (Password, Password, OwnKeys) = read_change_password, {
        "current_password": "correct horse battery", "new_password": "staple of many horses"
    }
}

fn read_change_password(fields: &mut impl ReadFields) -> (Password, Password, OwnKeys) {
    let current = secret(fields, &LOGIN_PASSWORD.named("current_password"));
    let new = PASSWORD.named("new_password");
    let new = new.about("A maximum of 1,024 bytes; not a common one, and not the current one.");
    (Password::new(current), Password::new(secret(fields, &new)), read_own_keys(fields))
}

/// Change the current user's password
///
/// Ends all sessions, this one included, and the API keys if that is asked for.
#[utoipa::path(
    post,
    path = "/auth/password",
    operation_id = "change_password",
    tag = "auth",
    request_body = ChangePassword,
    responses((status = 204, description = "The password is changed"), CredentialProblems)
)]
pub(crate) async fn change_password(
    State(state): State<AppState>,
    SelfManagedUser(caller): SelfManagedUser,
    _passwords: LocalPasswords,
    Client(client): Client,
    _query: Query<NoParameters>,
    JsonBody((current, new, keys)): JsonBody<ChangePassword>,
) -> Result<StatusCode, Problem> {
    state.store().auth().from(client).change_password(caller.user(), current, new, keys).await?;
    Ok(StatusCode::NO_CONTENT)
}

request_object! {
    /// The password of the current user.
    Confirm: Password = read_confirm, {"password": "correct horse battery"}
}

fn read_confirm(fields: &mut impl ReadFields) -> Password {
    Password::new(secret(fields, &LOGIN_PASSWORD))
}

/// Confirm the current user's password
///
/// For five minutes, the same session or API key may then do what changes who the user is: change the address, erase the
/// account, and in a session create and rotate API keys.
#[utoipa::path(
    post,
    path = "/auth/confirm",
    operation_id = "confirm",
    tag = "auth",
    request_body = Confirm,
    responses((status = 204, description = "The password is confirmed"), CredentialProblems)
)]
pub(crate) async fn confirm(
    State(state): State<AppState>,
    SelfManagedUser(caller): SelfManagedUser,
    Client(client): Client,
    _query: Query<NoParameters>,
    JsonBody(password): JsonBody<Confirm>,
) -> Result<StatusCode, Problem> {
    let credential = caller.credential().ok_or_else(Problem::unauthenticated)?;
    state.store().auth().from(client).confirm(caller.user(), credential, password).await?;
    Ok(StatusCode::NO_CONTENT)
}
