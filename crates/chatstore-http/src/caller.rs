//! Who asks. The first argument of every handler under `/api`, so that nothing is said to anybody who is not
//! known.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use chatstore::{Acting, ApiKeyId, ApiKeyScope, FieldCode, Principal, UserId, UserReference, UserRole};

use crate::error::{Problem, ProblemKind};
use crate::state::AppState;

/// The header in which a service key says for whom it acts.
pub(crate) const ACTING_FOR: HeaderName = HeaderName::from_static("chatstore-user");

const ACTING_FOR_NAME: &str = "Chatstore-User";

/// The user whose rights a request has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    user: UserId,
    role: UserRole,
    key: Option<ApiKeyId>,
}

impl Caller {
    pub(crate) const fn user(self) -> UserId {
        self.user
    }

    pub(crate) fn is_admin(self) -> bool {
        self.role == UserRole::Admin
    }

    /// Whether the request came without credentials, which is possible only where that is switched on.
    pub(crate) const fn is_unknown(self) -> bool {
        self.key.is_none()
    }

    const fn anonymous() -> Self {
        Self { user: UserId::ANONYMOUS, role: UserRole::User, key: None }
    }

    fn of_key(principal: &Principal) -> Self {
        Self { user: principal.user_id, role: principal.role, key: Some(principal.key_id) }
    }

    /// Notes for the log who it is.
    fn noted(self, parts: &Parts) -> Self {
        if let Some(noted) = parts.extensions.get::<NotedCaller>() {
            noted.0.get_or_init(|| self);
        }
        self
    }
}

/// Where the middleware reads for its log who called.
#[derive(Debug, Clone, Default)]
pub(crate) struct NotedCaller(Arc<OnceLock<Caller>>);

impl NotedCaller {
    /// The user whose rights the request had, and the key it came with.
    pub(crate) fn ids(&self) -> (Option<UserId>, Option<ApiKeyId>) {
        let caller = self.0.get();
        (caller.map(|caller| caller.user), caller.and_then(|caller| caller.key))
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = authenticate(parts, state).await?.ok_or_else(unauthenticated)?;
        Ok(act(parts, state, &principal).await?.noted(parts))
    }
}

/// A caller, or somebody without credentials where that is switched on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor(pub(crate) Caller);

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        match authenticate(parts, state).await? {
            Some(principal) => Ok(Self(act(parts, state, &principal).await?.noted(parts))),
            None if !state.takes_anonymous() => Err(unauthenticated()),
            None if parts.headers.contains_key(ACTING_FOR) => Err(not_a_service()),
            None => Ok(Self(Caller::anonymous().noted(parts))),
        }
    }
}

/// A user with a key of his own, for what concerns his credentials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHolder(pub(crate) Caller);

impl FromRequestParts<AppState> for KeyHolder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = authenticate(parts, state).await?.ok_or_else(unauthenticated)?;
        if principal.scope == ApiKeyScope::Service {
            return Err(Problem::forbidden("a service key has no credentials to manage"));
        }
        Ok(Self(act(parts, state, &principal).await?.noted(parts)))
    }
}

/// An administrator, or a service key that acts for nobody.
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

    /// Fails for a service key, which may neither make nor change administrators.
    pub(crate) fn over_admins(self) -> Result<(), Problem> {
        match self.is_service {
            true => Err(Problem::forbidden("a service key may neither make nor change administrators")),
            false => Ok(()),
        }
    }
}

impl FromRequestParts<AppState> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = authenticate(parts, state).await?.ok_or_else(unauthenticated)?;
        let is_service = principal.scope == ApiKeyScope::Service;
        if is_service && !parts.headers.contains_key(ACTING_FOR) {
            Caller::of_key(&principal).noted(parts);
            return Ok(Self { holder: principal.user_id, is_service });
        }
        let caller = act(parts, state, &principal).await?.noted(parts);
        if !caller.is_admin() {
            return Err(Problem::forbidden("this is for administrators"));
        }
        Ok(Self { holder: principal.user_id, is_service })
    }
}

/// The key of the request; `None` when it has no credentials at all.
async fn authenticate(parts: &Parts, state: &AppState) -> Result<Option<Principal>, Problem> {
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        return Ok(None);
    }
    let key = bearer(parts).ok_or_else(unauthenticated)?;
    state.store().keys().verify(key).await?.map(Some).ok_or_else(unauthenticated)
}

/// The user whose rights the request has: the key's own, or the one that a service key names.
async fn act(parts: &Parts, state: &AppState, principal: &Principal) -> Result<Caller, Problem> {
    let mut named = parts.headers.get_all(ACTING_FOR).iter();
    let first = named.next();
    match (principal.scope, first) {
        (ApiKeyScope::User, None) => Ok(Caller::of_key(principal)),
        (ApiKeyScope::User, Some(_)) => Err(not_a_service()),
        (ApiKeyScope::Service, None) => {
            Err(Problem::wrong(ACTING_FOR_NAME, FieldCode::Required, "must say for whom the service acts"))
        }
        (ApiKeyScope::Service, Some(value)) => {
            if named.next().is_some() {
                let message = "must not be given more than once";
                return Err(Problem::wrong(ACTING_FOR_NAME, FieldCode::NotAllowed, message));
            }
            let reference = std::str::from_utf8(value.as_bytes()).unwrap_or_default().parse();
            let reference: UserReference = reference.map_err(|error| {
                let error: chatstore::InvalidUserReference = error;
                Problem::wrong(ACTING_FOR_NAME, FieldCode::InvalidFormat, error.to_string())
            })?;
            let acting = state.store().users().acting(&reference).await?;
            let Acting { user_id, role } = acting.ok_or_else(Problem::not_found)?;
            if role == UserRole::Admin {
                return Err(Problem::forbidden("a service key does not act for administrators"));
            }
            Ok(Caller { user: user_id, role, key: Some(principal.key_id) })
        }
    }
}

fn not_a_service() -> Problem {
    Problem::forbidden("only a service key may say for whom it acts")
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

pub(crate) fn unauthenticated() -> Problem {
    let detail = "a valid API key is needed, as `Authorization: Bearer cs_…`";
    Problem::new(ProblemKind::Unauthenticated, detail)
}
