//! The holder of a request's credentials, and whether these are good for the request.

use axum::extract::MatchedPath;
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use chatstore::auth::Principal;
use chatstore::{Error, ErrorKind, UserId};

use crate::client::ClientAddress;
use crate::error::{Problem, ProblemKind};
use crate::path::{API, route_group};
use crate::state::AppState;

/// The header in which a service key names the user it acts for.
pub(crate) const ACTING_USER: HeaderName = HeaderName::from_static("chatstore-user");

/// The routes on which a key asks about itself, which every key may, whatever else it may not.
const ROUTE: &str = "/auth/api-key";

/// Whether a key asks about itself.
fn is_about_itself(parts: &Parts) -> bool {
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let below_api = route.rsplit_once(API).map(|(_, below)| below);
    below_api
        .and_then(|below| below.strip_prefix(ROUTE))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The user who sends a request, as the application that mounts the router has found out by its own login: its middleware
/// puts this into the extensions of the request, which then has this user's rights, whatever other credentials it
/// carries. A user who is unknown or disabled is 401.
///
/// ```
/// use axum::extract::Request;
/// use axum::middleware::{Next, from_fn};
/// use axum::response::Response;
/// use chatstore_http::ActingUser;
///
/// # fn user_of(_: &Request) -> Option<chatstore::UserId> { None }
/// async fn with_own_login(mut request: Request, next: Next) -> Response {
///     if let Some(user) = user_of(&request) {
///         request.extensions_mut().insert(ActingUser(user));
///     }
///     next.run(request).await
/// }
///
/// # fn mount(store: chatstore::Store) -> axum::Router {
/// axum::Router::new().nest("/chat", chatstore_http::router(store)).layer(from_fn(with_own_login))
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActingUser(pub UserId);

/// The user whom the application has let in, if it says so.
async fn let_in(parts: &Parts, state: &AppState) -> Result<Option<Principal>, Problem> {
    let Some(ActingUser(user)) = parts.extensions.get() else { return Ok(None) };
    let found = state.store().users().let_in(*user).await?;
    Ok(Some(found.ok_or_else(Problem::unauthenticated)?))
}

/// The holder of the request's credentials; `None` when it has none at all.
pub(super) async fn authenticate(parts: &Parts, state: &AppState) -> Result<Option<Principal>, Problem> {
    if let Some(principal) = let_in(parts, state).await? {
        state.count(parts, Some(principal.user_id)).await?;
        return Ok(Some(principal));
    }
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        state.count(parts, None).await?;
        return Ok(None);
    }
    let principal = match bearer(parts) {
        Some(credential) => match state.store().authenticate(credential).await {
            Err(error) if is_of_provider(&error) => {
                state.count(parts, None).await?;
                return Err(error.into());
            }
            found => found?,
        },
        None => None,
    };
    // A service's request counts for the user it acts for, once that user is known.
    let is_acting =
        principal.as_ref().is_some_and(Principal::is_service) && parts.headers.contains_key(ACTING_USER);
    if !is_acting {
        let user = principal.as_ref().map(|principal| principal.user_id);
        state.count(parts, user).await?;
    }
    let principal = principal.ok_or_else(Problem::unauthenticated)?;
    check_rights(parts, &principal)?;
    Ok(Some(principal))
}

/// Who sends a large body, asked before it has arrived; `None` for a client without credentials where that is enabled.
/// Who may do what is decided later, and the request is counted then.
pub(crate) async fn sender(parts: &Parts, state: &AppState) -> Result<Option<UserId>, Problem> {
    if let Some(principal) = let_in(parts, state).await? {
        return Ok(Some(principal.user_id));
    }
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        return if state.policy().takes_anonymous { Ok(None) } else { Err(Problem::unauthenticated()) };
    }
    let credential = bearer(parts).ok_or_else(Problem::unauthenticated)?;
    let _permit = state.admission().acquire().await?;
    let principal = state.store().authenticate(credential).await?.ok_or_else(Problem::unauthenticated)?;
    Ok(Some(principal.user_id))
}

/// Like [`authenticate`], but credentials are required.
pub(super) async fn require_principal(parts: &Parts, state: &AppState) -> Result<Principal, Problem> {
    authenticate(parts, state).await?.ok_or_else(Problem::unauthenticated)
}

/// Fails for a key that may not do this, or not from here, or whose user has to change the password: a one-time password
/// must not live on as a key.
fn check_rights(parts: &Parts, principal: &Principal) -> Result<(), Problem> {
    if principal.credential.is_key() {
        refuse_before_change(principal)?;
    }
    let rights = &principal.rights;
    if !rights.takes_address(ClientAddress::of(parts)) {
        return Err(Problem::forbidden("this key must not be used from this address"));
    }
    if is_about_itself(parts) {
        return Ok(());
    }
    if rights.read_only && !parts.method.is_safe() {
        return Err(Problem::forbidden("this key only reads"));
    }
    match rights.takes_route(route_group(parts)) {
        true => Ok(()),
        false => Err(Problem::forbidden("this key is not for this route")),
    }
}

pub(super) fn refuse_before_change(principal: &Principal) -> Result<(), Problem> {
    if principal.must_change_password {
        let detail = "the password must be changed first, by `POST auth/password`";
        return Err(Problem::new(ProblemKind::PasswordChangeRequired, detail));
    }
    Ok(())
}

/// Whether a token of an identity provider is refused otherwise than one that is not valid.
pub(super) fn is_of_provider(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::IdentityProviderUnavailable)
}

pub(super) fn service_has_no_account() -> Problem {
    Problem::forbidden("a service key has no password, session or key of its own to manage")
}

pub(super) fn key_makes_no_keys() -> Problem {
    Problem::forbidden("a key creates no keys; log in, or use the command `key create`")
}

pub(super) fn not_a_service() -> Problem {
    Problem::forbidden("only a service key may act for another user")
}

/// The token of the one `Authorization: Bearer` header.
pub(super) fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
