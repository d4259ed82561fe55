//! The user that a request acts for.

use axum::http::HeaderValue;
use axum::http::request::Parts;
use chatstore::auth::{ActingUser, Principal, UserReference};
use chatstore::{FieldCode, KeyRights, UserRole};

use super::authenticate::{ACTING_USER, not_a_service};
use super::current::Caller;
use crate::error::Problem;
use crate::state::AppState;

const ACTING_USER_NAME: &str = "Chatstore-User";

/// The user whose rights the request has: the key's own, or the one that a service key names.
pub(super) async fn act(parts: &Parts, state: &AppState, principal: &Principal) -> Result<Caller, Problem> {
    let mut named = parts.headers.get_all(ACTING_USER).iter();
    let first = named.next();
    match (principal.is_service(), first) {
        (false, None) => Ok(Caller::of(state, principal)),
        (false, Some(_)) => Err(not_a_service()),
        (true, None) => Err(nobody_named()),
        (true, Some(value)) => {
            if named.next().is_some() {
                let message = "must not be given more than once";
                return Err(Problem::wrong(ACTING_USER_NAME, FieldCode::NotAllowed, message));
            }
            act_for(value, parts, state, principal).await
        }
    }
}

/// A service names no user where it has to.
pub(super) fn nobody_named() -> Problem {
    let message = "must name the user that the service acts for";
    Problem::wrong(ACTING_USER_NAME, FieldCode::Required, message)
}

async fn act_for(
    value: &HeaderValue,
    parts: &Parts,
    state: &AppState,
    principal: &Principal,
) -> Result<Caller, Problem> {
    let rights = &principal.rights;
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
    let reference = UserReference::parse(text, rights.external_namespace())
        .map_err(|error| Problem::wrong(ACTING_USER_NAME, FieldCode::InvalidFormat, error.to_string()))?;
    let acting = find(state, &reference, rights).await?;
    let counted = acting.as_ref().map_or(principal.user_id, |acting| acting.user_id);
    state.count(parts, Some(counted)).await?;
    let ActingUser { user_id, role, external_namespace } = acting.ok_or_else(Problem::unknown_user)?;
    // A user for whom the key is not is answered like one who does not exist.
    if !rights.is_for(user_id, external_namespace.as_deref()) {
        return Err(Problem::unknown_user());
    }
    if role == UserRole::Admin {
        return Err(Problem::forbidden("a service key does not act for administrators"));
    }
    Ok(Caller::new(state, user_id, role, Some(principal)))
}

/// The user that is named, who is created if the key creates users.
async fn find(
    state: &AppState,
    reference: &UserReference,
    rights: &KeyRights,
) -> Result<Option<ActingUser>, Problem> {
    let users = state.store().users();
    Ok(match reference {
        UserReference::External(id) if rights.provision.is_some() && !rights.read_only => {
            users.acting_or_created(id).await?
        }
        _ => users.acting(reference).await?,
    })
}
