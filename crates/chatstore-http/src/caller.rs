//! Who sends a request. The first argument of every handler under `/api`, so that a client that is not
//! authenticated learns nothing else.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use chatstore::auth::{ActingUser, Actor, Credential, Principal, UserReference};
use chatstore::{ApiKeyScope, AsUser, Error, ErrorKind, FieldCode, SessionId, UserId, UserRole};
use tracing::Span;
use tracing::field::display;

use crate::client::ClientAddress;
use crate::error::{Problem, ProblemKind};
use crate::state::AppState;

/// The header in which a service key names the user it acts for.
pub(crate) const ACTING_USER: HeaderName = HeaderName::from_static("chatstore-user");

const ACTING_USER_NAME: &str = "Chatstore-User";

/// The user whose rights a request has, and the store as they see it.
#[derive(Debug)]
pub(crate) struct Caller {
    state: AppState,
    user: UserId,
    role: UserRole,
    credential: Option<Credential>,
    actor: Actor,
}

impl Caller {
    pub(crate) const fn user(&self) -> UserId {
        self.user
    }

    /// The store as the caller sees it. What a service says about its users' replies comes from the application.
    pub(crate) fn store(&self) -> AsUser<'_> {
        let chat = self.state.store().as_user(self.user);
        if self.is_service() { chat.for_service() } else { chat.not_vouched_for() }
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.role == UserRole::Admin
    }

    /// Whether an application acts for the user.
    pub(crate) const fn is_service(&self) -> bool {
        matches!(self.credential, Some(Credential::Key { scope: ApiKeyScope::Service, .. }))
    }

    /// Whether the request came without credentials, which is possible only where that is enabled.
    pub(crate) const fn is_anonymous(&self) -> bool {
        self.credential.is_none()
    }

    /// Whether the request came with a token of an identity provider.
    pub(crate) const fn is_provided(&self) -> bool {
        matches!(self.credential, Some(Credential::Provider))
    }

    /// The session whose access token the request came with.
    pub(crate) const fn session(&self) -> Option<SessionId> {
        match self.credential {
            Some(Credential::Session(id)) => Some(id),
            _ => None,
        }
    }

    fn new(
        state: &AppState,
        user: UserId,
        role: UserRole,
        credential: Option<Credential>,
        actor: Actor,
    ) -> Self {
        Self { state: state.clone(), user, role, credential, actor }
    }

    fn of(state: &AppState, principal: &Principal) -> Self {
        let (user, credential) = (principal.user_id, Some(principal.credential));
        Self::new(state, user, principal.role, credential, Actor::of(principal, user))
    }

    /// Records in the request's span who it is, and that what happens from now on is caused by them.
    fn recorded(self) -> Self {
        self.actor.enter();
        let span = Span::current();
        span.record("user.id", display(self.user));
        match self.credential {
            Some(Credential::Key { id, .. }) => span.record("key.id", display(id)),
            Some(Credential::Session(id)) => span.record("session.id", display(id)),
            Some(Credential::Provider) | None => &span,
        };
        self
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = require_principal(parts, state).await?;
        refuse_before_change(&principal)?;
        Ok(act(parts, state, &principal).await?.recorded())
    }
}

/// A user who may have to change their password first, before which they may do little else.
#[derive(Debug)]
pub(crate) struct CurrentUserBeforePasswordChange(pub(crate) Caller);

impl FromRequestParts<AppState> for CurrentUserBeforePasswordChange {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = require_principal(parts, state).await?;
        Ok(Self(act(parts, state, &principal).await?.recorded()))
    }
}

/// In the extensions of a request to a route that no client without credentials may use, whatever is enabled: what its
/// path names can be guessed, and all such clients share one owner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CredentialsRequired;

/// A caller, or a client without credentials where that is enabled.
#[derive(Debug)]
pub(crate) struct OptionalUser(pub(crate) Caller);

impl FromRequestParts<AppState> for OptionalUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        match authenticate(parts, state).await? {
            Some(principal) => {
                refuse_before_change(&principal)?;
                Ok(Self(act(parts, state, &principal).await?.recorded()))
            }
            None if !state.policy().takes_anonymous => Err(Problem::unauthenticated()),
            None if parts.extensions.get::<CredentialsRequired>().is_some() => {
                Err(Problem::unauthenticated())
            }
            None if parts.headers.contains_key(ACTING_USER) => Err(not_a_service()),
            None => {
                let actor = Actor::default();
                Ok(Self(Caller::new(state, UserId::ANONYMOUS, UserRole::User, None, actor).recorded()))
            }
        }
    }
}

/// A user with credentials of their own, who manages these.
#[derive(Debug)]
pub(crate) struct SelfManagedUser(pub(crate) Caller);

impl FromRequestParts<AppState> for SelfManagedUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = require_principal(parts, state).await?;
        if principal.is_service() {
            return Err(service_has_no_account());
        }
        Ok(Self(act(parts, state, &principal).await?.recorded()))
    }
}

/// A client that is about to authenticate. Credentials it sends beside do not matter, and may have expired.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnauthenticatedClient;

impl FromRequestParts<AppState> for UnauthenticatedClient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = match bearer(parts) {
            Some(credential) => match state.store().authenticate(credential).await {
                Err(error) if is_of_provider(&error) => None,
                found => found?,
            },
            None => None,
        };
        state.count(principal.map(|principal| principal.user_id), ClientAddress::of(parts)).await?;
        if principal.is_some_and(|principal| principal.is_service()) {
            return Err(service_has_no_account());
        }
        match parts.headers.contains_key(ACTING_USER) {
            true => Err(not_a_service()),
            false => Ok(Self),
        }
    }
}

/// An administrator, or a service key that acts for no user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admin {
    holder: UserId,
    is_service: bool,
}

impl Admin {
    /// To whom the cursors of an administrator's lists are bound.
    pub(crate) const fn holder(self) -> UserId {
        self.holder
    }

    /// Fails for a service key, which may neither create nor change administrators.
    pub(crate) fn over_admins(self) -> Result<(), Problem> {
        match self.is_service {
            true => Err(Problem::forbidden("a service key may neither create nor change administrators")),
            false => Ok(()),
        }
    }
}

impl FromRequestParts<AppState> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = require_principal(parts, state).await?;
        refuse_before_change(&principal)?;
        let is_service = principal.is_service();
        if is_service && !parts.headers.contains_key(ACTING_USER) {
            Caller::of(state, &principal).recorded();
            return Ok(Self { holder: principal.user_id, is_service });
        }
        let caller = act(parts, state, &principal).await?.recorded();
        if !caller.is_admin() {
            return Err(Problem::forbidden("this is for administrators"));
        }
        Ok(Self { holder: principal.user_id, is_service })
    }
}

/// The holder of the request's credentials; `None` when it has none at all.
async fn authenticate(parts: &Parts, state: &AppState) -> Result<Option<Principal>, Problem> {
    let address = ClientAddress::of(parts);
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        state.count(None, address).await?;
        return Ok(None);
    }
    let principal = match bearer(parts) {
        Some(credential) => match state.store().authenticate(credential).await {
            Err(error) if is_of_provider(&error) => {
                state.count(None, address).await?;
                return Err(error.into());
            }
            found => found?,
        },
        None => None,
    };
    // A service's request counts for the user it acts for, once that user is known.
    let is_acting =
        principal.is_some_and(|principal| principal.is_service()) && parts.headers.contains_key(ACTING_USER);
    if !is_acting {
        state.count(principal.map(|principal| principal.user_id), address).await?;
    }
    principal.map(Some).ok_or_else(Problem::unauthenticated)
}

/// Who sends a large body, asked before it has arrived; `None` for a client without credentials where that is enabled.
/// Who may do what is decided later, and the request is counted then.
pub(crate) async fn sender(parts: &Parts, state: &AppState) -> Result<Option<UserId>, Problem> {
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        return if state.policy().takes_anonymous { Ok(None) } else { Err(Problem::unauthenticated()) };
    }
    let credential = bearer(parts).ok_or_else(Problem::unauthenticated)?;
    let _permit = state.admission().acquire().await?;
    let principal = state.store().authenticate(credential).await?.ok_or_else(Problem::unauthenticated)?;
    Ok(Some(principal.user_id))
}

/// Like [`authenticate`], but credentials are required.
async fn require_principal(parts: &Parts, state: &AppState) -> Result<Principal, Problem> {
    authenticate(parts, state).await?.ok_or_else(Problem::unauthenticated)
}

fn refuse_before_change(principal: &Principal) -> Result<(), Problem> {
    if principal.must_change_password {
        let detail = "the password must be changed first, by `POST auth/password`";
        return Err(Problem::new(ProblemKind::PasswordChangeRequired, detail));
    }
    Ok(())
}

/// The user whose rights the request has: the key's own, or the one that a service key names.
async fn act(parts: &Parts, state: &AppState, principal: &Principal) -> Result<Caller, Problem> {
    let mut named = parts.headers.get_all(ACTING_USER).iter();
    let first = named.next();
    match (principal.is_service(), first) {
        (false, None) => Ok(Caller::of(state, principal)),
        (false, Some(_)) => Err(not_a_service()),
        (true, None) => Err(Problem::wrong(
            ACTING_USER_NAME,
            FieldCode::Required,
            "must name the user that the service acts for",
        )),
        (true, Some(value)) => {
            if named.next().is_some() {
                let message = "must not be given more than once";
                return Err(Problem::wrong(ACTING_USER_NAME, FieldCode::NotAllowed, message));
            }
            let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
            let reference = text.parse::<UserReference>().map_err(|error| {
                Problem::wrong(ACTING_USER_NAME, FieldCode::InvalidFormat, error.to_string())
            })?;
            let acting = state.store().users().acting(&reference).await?;
            let counted = acting.map_or(principal.user_id, |acting| acting.user_id);
            state.count(Some(counted), ClientAddress::of(parts)).await?;
            let ActingUser { user_id, role } = acting.ok_or_else(Problem::not_found)?;
            if role == UserRole::Admin {
                return Err(Problem::forbidden("a service key does not act for administrators"));
            }
            let actor = Actor::of(principal, user_id);
            Ok(Caller::new(state, user_id, role, Some(principal.credential), actor))
        }
    }
}

/// Whether a token of an identity provider is refused otherwise than one that is not valid.
fn is_of_provider(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::IdentityProviderUnavailable)
}

fn service_has_no_account() -> Problem {
    Problem::forbidden("a service key has no password, session or key of its own to manage")
}

fn not_a_service() -> Problem {
    Problem::forbidden("only a service key may act for another user")
}

/// The token of the one `Authorization: Bearer` header.
fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
