//! Those who administer users: administrators, and services that act for no user.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chatstore::auth::{Credential, Principal};
use chatstore::{KeyRights, User, UserId, UserRole};

use super::acting::{act, nobody_named};
use super::authenticate::{ACTING_USER, key_makes_no_keys, refuse_before_change, require_principal};
use super::current::{Caller, require_confirmation, seen};
use crate::error::Problem;
use crate::state::AppState;

/// An administrator, or a service key. A service acts for no user here: the header that names one is not looked at, so
/// that a client may send it always.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    holder: UserId,
    credential: Credential,
    rights: Arc<KeyRights>,
}

impl Admin {
    fn of(principal: Principal) -> Self {
        Self { holder: principal.user_id, credential: principal.credential, rights: principal.rights }
    }

    /// To whom the cursors of an administrator's lists are bound.
    pub(crate) const fn holder(&self) -> UserId {
        self.holder
    }

    /// A user as the administrator sees them.
    pub(crate) fn seen(&self, user: User) -> User {
        seen(user, Some(self.credential), &self.rights)
    }

    /// Fails for a service key, which may neither create nor change administrators.
    pub(crate) fn over_admins(&self) -> Result<(), Problem> {
        match self.credential.is_service() {
            true => Err(Problem::forbidden("a service key may neither create nor change administrators")),
            false => Ok(()),
        }
    }

    /// Fails for a service key, which does not see what happens to administrators.
    pub(crate) fn above_services(&self) -> Result<(), Problem> {
        match self.credential.is_service() {
            true => Err(Problem::forbidden("a service key does not see what happens to administrators")),
            false => Ok(()),
        }
    }

    /// Fails for a service key that is for some users only.
    pub(crate) fn over_all_users(&self) -> Result<(), Problem> {
        match self.is_for_some_users() {
            true => Err(Problem::forbidden("this key is for some users only")),
            false => Ok(()),
        }
    }

    /// Whether it is a service key for some users only.
    pub(crate) fn is_for_some_users(&self) -> bool {
        self.credential.is_service() && self.rights.is_for_some_users()
    }

    /// Fails for a service key that is not for this user, as if there were none.
    pub(crate) fn sees(&self, user: &User) -> Result<(), Problem> {
        let is_for = self.rights.is_for(user.id, user.external_namespace.as_deref());
        match self.credential.is_service() && !is_for {
            true => Err(Problem::not_found()),
            false => Ok(()),
        }
    }

    /// Fails unless keys and fields of this user may be changed. The built-in user, who has the keys of all services, and
    /// administrators are above services.
    pub(crate) fn over(&self, user: &User) -> Result<(), Problem> {
        self.sees(user)?;
        if user.id == UserId::ANONYMOUS && self.credential.is_service() {
            return Err(Problem::forbidden("a service key does not administer the built-in user"));
        }
        if user.role == UserRole::Admin { self.over_admins() } else { Ok(()) }
    }

    /// Fails unless the administrator has shown the password again lately.
    pub(crate) async fn require_confirmation(&self, state: &AppState) -> Result<(), Problem> {
        require_confirmation(state, self.holder, self.credential).await
    }

    /// The same where it is the administrator's own account.
    pub(crate) async fn require_confirmation_for_own(
        &self,
        state: &AppState,
        user: UserId,
    ) -> Result<(), Problem> {
        if user == self.holder { self.require_confirmation(state).await } else { Ok(()) }
    }
}

impl FromRequestParts<AppState> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = require_principal(parts, state).await?;
        refuse_before_change(&principal)?;
        if principal.is_service() {
            if parts.headers.contains_key(ACTING_USER) {
                state.count(parts, Some(principal.user_id)).await?;
            }
            Caller::of(state, &principal).recorded();
            return Ok(Self::of(principal));
        }
        if !act(parts, state, &principal).await?.recorded().is_admin() {
            return Err(Problem::forbidden("this is for administrators"));
        }
        Ok(Self::of(principal))
    }
}

/// An administrator in a session, who may create keys: a key creates none.
#[derive(Debug, Clone)]
pub(crate) struct AdminInSession(pub(crate) Admin);

impl FromRequestParts<AppState> for AdminInSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let admin = Admin::from_request_parts(parts, state).await?;
        if admin.credential.is_key() { Err(key_makes_no_keys()) } else { Ok(Self(admin)) }
    }
}

/// A caller, or a service that names no user and asks about several.
#[derive(Debug)]
pub(crate) enum CallerOrService {
    Caller(Caller),
    Service(Admin),
}

impl CallerOrService {
    /// A service has to name a user after all.
    pub(crate) fn nobody_named() -> Problem {
        nobody_named()
    }
}

impl FromRequestParts<AppState> for CallerOrService {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = require_principal(parts, state).await?;
        refuse_before_change(&principal)?;
        if principal.is_service() && !parts.headers.contains_key(ACTING_USER) {
            Caller::of(state, &principal).recorded();
            return Ok(Self::Service(Admin::of(principal)));
        }
        Ok(Self::Caller(act(parts, state, &principal).await?.recorded()))
    }
}
