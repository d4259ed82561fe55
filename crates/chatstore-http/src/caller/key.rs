//! A key that asks about itself.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chatstore::auth::Credential;
use chatstore::{ApiKeyId, UserId};

use super::authenticate::{ACTING_USER, bearer, not_a_service, require_principal};
use super::current::Caller;
use crate::error::Problem;
use crate::state::AppState;

/// The key that a request comes with. Its service names no user here; the header is not looked at.
pub(crate) struct KeyHolder {
    user: UserId,
    id: ApiKeyId,
    is_service: bool,
    text: String,
}

impl fmt::Debug for KeyHolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeyHolder").field("id", &self.id).finish_non_exhaustive()
    }
}

impl KeyHolder {
    /// Whose key it is.
    pub(crate) const fn user(&self) -> UserId {
        self.user
    }

    /// Which key it is.
    pub(crate) const fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The secret that the request came with.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Fails for a user's key, which the user gives another secret in a session.
    pub(crate) fn of_service(&self) -> Result<(), Problem> {
        match self.is_service {
            true => Ok(()),
            false => {
                Err(Problem::forbidden("only a service key rotates itself; log in to rotate a key of yours"))
            }
        }
    }
}

impl FromRequestParts<AppState> for KeyHolder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let principal = require_principal(parts, state).await?;
        let Credential::Key { id, .. } = principal.credential else {
            return Err(Problem::forbidden(
                "a session is no key; `GET auth/api-keys` lists those of its user",
            ));
        };
        let is_service = principal.is_service();
        if parts.headers.contains_key(ACTING_USER) {
            if !is_service {
                return Err(not_a_service());
            }
            state.count(parts, Some(principal.user_id)).await?;
        }
        Caller::of(state, &principal).recorded();
        let text = bearer(parts).unwrap_or_default().to_owned();
        Ok(Self { user: principal.user_id, id, is_service, text })
    }
}
