//! Users as the callers of handlers: each kind admits other requests.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chatstore::{UserId, UserRole};

use super::acting::act;
use super::authenticate::{
    ACTING_USER, authenticate, bearer, is_of_provider, key_makes_no_keys, not_a_service,
    refuse_before_change, require_principal, service_has_no_account,
};
use super::current::Caller;
use crate::error::Problem;
use crate::state::AppState;

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
            None => Ok(Self(Caller::new(state, UserId::ANONYMOUS, UserRole::User, None).recorded())),
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

/// A user in a session, who may create keys: a key creates none, or one that ends would be followed by one that does not.
#[derive(Debug)]
pub(crate) struct UserInSession(pub(crate) Caller);

impl FromRequestParts<AppState> for UserInSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = require_principal(parts, state).await?;
        refuse_before_change(&principal)?;
        if principal.credential.is_key() {
            return Err(key_makes_no_keys());
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
        let user = principal.as_ref().map(|principal| principal.user_id);
        state.count(parts, user).await?;
        if principal.is_some_and(|principal| principal.is_service()) {
            return Err(service_has_no_account());
        }
        match parts.headers.contains_key(ACTING_USER) {
            true => Err(not_a_service()),
            false => Ok(Self),
        }
    }
}
