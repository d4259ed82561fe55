//! Who asks. The first argument of every handler under `/api`, so that nothing is said to anybody who is not
//! known.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use chatstore::{
    Acting, ApiKeyId, AsUser, Credential, FieldCode, Principal, SessionId, UserId, UserReference, UserRole,
};

use crate::error::{Problem, ProblemKind};
use crate::origin::ClientAddress;
use crate::state::AppState;

/// The header in which a service key says for whom it acts.
pub(crate) const ACTING_FOR: HeaderName = HeaderName::from_static("chatstore-user");

const ACTING_FOR_NAME: &str = "Chatstore-User";

/// The user whose rights a request has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    user: UserId,
    role: UserRole,
    credential: Option<Credential>,
}

impl Caller {
    pub(crate) const fn user(self) -> UserId {
        self.user
    }

    /// The store as the caller sees it.
    pub(crate) fn store(self, state: &AppState) -> AsUser<'_> {
        state.store().as_user(self.user)
    }

    pub(crate) fn is_admin(self) -> bool {
        self.role == UserRole::Admin
    }

    /// Whether the request came without credentials, which is possible only where that is switched on.
    pub(crate) const fn is_unknown(self) -> bool {
        self.credential.is_none()
    }

    /// The session whose access token the request came with.
    pub(crate) const fn session(self) -> Option<SessionId> {
        match self.credential {
            Some(Credential::Session(id)) => Some(id),
            _ => None,
        }
    }

    const fn key(self) -> Option<ApiKeyId> {
        match self.credential {
            Some(Credential::Key { id, .. }) => Some(id),
            _ => None,
        }
    }

    const fn anonymous() -> Self {
        Self { user: UserId::ANONYMOUS, role: UserRole::User, credential: None }
    }

    const fn of(principal: &Principal) -> Self {
        Self { user: principal.user_id, role: principal.role, credential: Some(principal.credential) }
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
    /// The user whose rights the request had, and the key or the session it came with.
    pub(crate) fn ids(&self) -> (Option<UserId>, Option<ApiKeyId>, Option<SessionId>) {
        let caller = self.0.get().copied();
        (caller.map(Caller::user), caller.and_then(Caller::key), caller.and_then(Caller::session))
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = known(parts, state).await?;
        refuse_before_change(&principal)?;
        Ok(act(parts, state, &principal).await?.noted(parts))
    }
}

/// A caller who may be about to change his password, before which he may do little else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OneSelf(pub(crate) Caller);

impl FromRequestParts<AppState> for OneSelf {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = known(parts, state).await?;
        Ok(Self(act(parts, state, &principal).await?.noted(parts)))
    }
}

/// A caller, or somebody without credentials where that is switched on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor(pub(crate) Caller);

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        match authenticate(parts, state).await? {
            Some(principal) => {
                refuse_before_change(&principal)?;
                Ok(Self(act(parts, state, &principal).await?.noted(parts)))
            }
            None if !state.takes_anonymous() => Err(Problem::unauthenticated()),
            None if parts.headers.contains_key(ACTING_FOR) => Err(not_a_service()),
            None => Ok(Self(Caller::anonymous().noted(parts))),
        }
    }
}

/// A user with credentials of his own, for what concerns these.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountHolder(pub(crate) Caller);

impl FromRequestParts<AppState> for AccountHolder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = known(parts, state).await?;
        if principal.is_service() {
            return Err(service_has_no_account());
        }
        Ok(Self(act(parts, state, &principal).await?.noted(parts)))
    }
}

/// Somebody who is about to say who he is. What else he shows does not matter, and may have expired.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Newcomer;

impl FromRequestParts<AppState> for Newcomer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = match bearer(parts) {
            Some(credential) => state.store().authenticate(credential).await?,
            None => None,
        };
        state.count(principal.map(|principal| principal.user_id), ClientAddress::of(parts)).await?;
        if principal.is_some_and(|principal| principal.is_service()) {
            return Err(service_has_no_account());
        }
        match parts.headers.contains_key(ACTING_FOR) {
            true => Err(not_a_service()),
            false => Ok(Self),
        }
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
        let principal = known(parts, state).await?;
        refuse_before_change(&principal)?;
        let is_service = principal.is_service();
        if is_service && !parts.headers.contains_key(ACTING_FOR) {
            Caller::of(&principal).noted(parts);
            return Ok(Self { holder: principal.user_id, is_service });
        }
        let caller = act(parts, state, &principal).await?.noted(parts);
        if !caller.is_admin() {
            return Err(Problem::forbidden("this is for administrators"));
        }
        Ok(Self { holder: principal.user_id, is_service })
    }
}

/// Who shows what the request comes with; `None` when it has no credentials at all.
async fn authenticate(parts: &Parts, state: &AppState) -> Result<Option<Principal>, Problem> {
    let address = ClientAddress::of(parts);
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        state.count(None, address).await?;
        return Ok(None);
    }
    let principal = match bearer(parts) {
        Some(credential) => state.store().authenticate(credential).await?,
        None => None,
    };
    // A service's request counts for the user it acts for, once it is known who that is.
    let is_acting =
        principal.is_some_and(|principal| principal.is_service()) && parts.headers.contains_key(ACTING_FOR);
    if !is_acting {
        state.count(principal.map(|principal| principal.user_id), address).await?;
    }
    principal.map(Some).ok_or_else(Problem::unauthenticated)
}

/// Like [`authenticate`], and nobody without credentials gets any further.
async fn known(parts: &Parts, state: &AppState) -> Result<Principal, Problem> {
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
    let mut named = parts.headers.get_all(ACTING_FOR).iter();
    let first = named.next();
    match (principal.is_service(), first) {
        (false, None) => Ok(Caller::of(principal)),
        (false, Some(_)) => Err(not_a_service()),
        (true, None) => {
            Err(Problem::wrong(ACTING_FOR_NAME, FieldCode::Required, "must say for whom the service acts"))
        }
        (true, Some(value)) => {
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
            let counted = acting.map_or(principal.user_id, |acting| acting.user_id);
            state.count(Some(counted), ClientAddress::of(parts)).await?;
            let Acting { user_id, role } = acting.ok_or_else(Problem::not_found)?;
            if role == UserRole::Admin {
                return Err(Problem::forbidden("a service key does not act for administrators"));
            }
            Ok(Caller { user: user_id, role, credential: Some(principal.credential) })
        }
    }
}

fn service_has_no_account() -> Problem {
    Problem::forbidden("a service key has no password, session or key of its own to manage")
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
