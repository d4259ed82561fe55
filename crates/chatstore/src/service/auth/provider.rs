//! Users who are signed in by an identity provider.

use std::time::Duration;

use chatstore_model::{IdentityState, Invalid, NewUser, UserId, UserName, UserRole, limits};
use chatstore_sql::{ReadTx, WriteTx};

use super::Auth;
use crate::cache::{Cache, IdentityKey};
use crate::changes::CallerChange;
use crate::error::{Error, Result};
use crate::identity_provider::VerifiedToken;
use crate::principal::{Credential, Principal};
use crate::security_event::SecurityEvent;

/// The time of the newest token is written down no more often than this, unless it decides about a role.
const NOTE_EVERY: Duration = Duration::from_secs(60);

const UNKNOWN: &str = "no user here has the identity of this token; an administrator can link it to one";

impl Auth<'_> {
    /// Whose token of an identity provider this is; `None` for a text that is none, for one that is not valid, and for
    /// the token of a disabled user or one from before all sessions of the user were ended. Must be called inside a
    /// Tokio runtime.
    ///
    /// The user is created where that is switched on ([`Builder::create_users`](crate::Builder::create_users)). A role
    /// that the provider gives is the user's from the first request with a newer token on.
    ///
    /// # Errors
    /// `Forbidden` when no user has the identity; `IdentityProviderUnavailable`; that the database is unavailable.
    pub async fn verify_provided(self, token: &str) -> Result<Option<Principal>> {
        let Some(provider) = &self.identity().provider else { return Ok(None) };
        let now = self.store.now();
        let Some(token) = provider.verify(token, now).await? else { return Ok(None) };
        let key = IdentityKey(token.identity.clone());
        let load = || self.find_or_create(&token);
        let Some(state) = self.store.callers.identities.get_or_load(&key, load).await? else {
            return Err(Error::forbidden(UNKNOWN));
        };
        if !state.accepts(token.issued_at) {
            return Ok(None);
        }
        let Some(state) = self.note_token(&token, state).await? else { return Ok(None) };
        Ok(state.role.map(|role| Principal {
            user_id: state.user_id,
            role,
            credential: Credential::Provider,
            must_change_password: false,
            rights: std::sync::Arc::default(),
            expires_at: Some(token.expires_at),
        }))
    }

    async fn find_or_create(&self, token: &VerifiedToken) -> Result<Option<IdentityState>> {
        let name = token.identity.clone();
        let find = async move |tx: &mut ReadTx<'_>| tx.identities().state(&name).await;
        if let Some(state) = self.store.read("identity_verify", find).await? {
            return Ok(Some(state));
        }
        if !self.identity().creates_users {
            return Ok(None);
        }
        let id = UserId::from_uuid(self.store.database.ids().uuid(self.store.now()));
        let (preferred, otherwise) = new_users(token, id)?;
        let name = token.identity.clone();
        let create = async move |tx: &mut WriteTx<'_>| {
            tx.identities().get_or_create_user(&name, &preferred, &otherwise).await
        };
        let (state, is_new) = self.store.write("identity_create", create).await?;
        if is_new {
            SecurityEvent::USER_PROVISIONED.note(self.store, Some(state.user_id));
        }
        Ok(Some(state))
    }

    /// Notes the time of a token that is newer than any before, and gives the user the role that comes with it. What is
    /// true then.
    async fn note_token(&self, token: &VerifiedToken, state: IdentityState) -> Result<Option<IdentityState>> {
        if !is_to_be_noted(token, &state) {
            return Ok(Some(state));
        }
        let (name, issued_at, role) = (token.identity.clone(), token.issued_at, token.role);
        let note = async move |tx: &mut WriteTx<'_>| {
            let is_changed = tx.identities().note_token(state.user_id, &name, issued_at, role).await?;
            Ok::<_, Error>((is_changed, tx.identities().state(&name).await?))
        };
        let (is_changed, state) = self.store.write("identity_note", note).await?;
        if is_changed {
            self.store.changed(CallerChange::Everything).await;
            SecurityEvent::ROLE_CHANGED.note(self.store, state.map(|state| state.user_id));
        } else {
            self.store.callers.identities.forget(&IdentityKey(token.identity.clone()));
        }
        Ok(state.filter(|state| state.accepts(token.issued_at)))
    }
}

/// Whether the time of a token has to be written down: every newer one where it gives a role, so that an older token
/// never gives back what a newer one took.
fn is_to_be_noted(token: &VerifiedToken, state: &IdentityState) -> bool {
    let Some(last) = state.token_issued_at else { return true };
    let newer_than = if token.role.is_some() { last } else { last.plus(NOTE_EVERY) };
    token.issued_at > newer_than
}

/// The new user of a token, with the name that the token brings if it is legal, and with one that no user has.
fn new_users(token: &VerifiedToken, id: UserId) -> Result<(NewUser, NewUser)> {
    let generated = UserName::new(format!("user-{}", id.short()))
        .map_err(|error| Invalid::field("username", error.code(), error.to_string()))?;
    let full_name = token.full_name.clone().filter(|name| is_full_name(name));
    let otherwise = NewUser {
        id: Some(id),
        full_name,
        role: token.role.unwrap_or(UserRole::User),
        ..NewUser::named(generated.clone())
    };
    let preferred = token.preferred_username.as_deref().and_then(preferred_name).unwrap_or(generated);
    Ok((NewUser { username: Some(preferred), ..otherwise.clone() }, otherwise))
}

/// The part of a name before an `@`: providers that know people by their address have it here, and a name that is an
/// address would stand in the way of the user who has it.
fn preferred_name(text: &str) -> Option<UserName> {
    let (name, _) = text.split_once('@').unwrap_or((text, ""));
    UserName::new(name).ok()
}

fn is_full_name(text: &str) -> bool {
    !text.contains('\0') && text.chars().count() <= limits::FULL_NAME
}

#[cfg(test)]
mod tests {
    use chatstore_model::{IdentityName, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn token(preferred_username: Option<&str>, full_name: Option<&str>) -> VerifiedToken {
        VerifiedToken {
            identity: IdentityName { issuer: "https://id.example.org".to_owned(), subject: "7".to_owned() },
            issued_at: Timestamp::MIN,
            expires_at: Timestamp::MAX,
            role: None,
            preferred_username: preferred_username.map(str::to_owned),
            full_name: full_name.map(str::to_owned),
        }
    }

    fn names(token: &VerifiedToken) -> [String; 2] {
        let (preferred, otherwise) = new_users(token, UserId::from_uuid(Uuid::from_u128(1))).unwrap();
        [preferred, otherwise].map(|user| user.username.unwrap().as_typed().to_owned())
    }

    #[test]
    fn a_new_user_has_the_preferred_name_if_it_is_legal_and_without_an_address() {
        let generated = format!("user-{}", UserId::from_uuid(Uuid::from_u128(1)).short());
        for (preferred, expected) in [
            (Some("ada"), "ada"),
            (Some("ada@example.org"), "ada"),
            (Some("@example.org"), &generated),
            (Some("a"), &generated),
            (Some("a\0da"), &generated),
            (None, &generated),
        ] {
            assert_eq!(names(&token(preferred, None)), [expected, &generated], "{preferred:?}");
        }
    }

    #[test]
    fn a_full_name_that_cannot_be_stored_is_left_out() {
        let long = "a".repeat(limits::FULL_NAME + 1);
        for (name, is_kept) in [("Ada Lovelace", true), ("Ada\0", false), (&long, false)] {
            let id = UserId::from_uuid(Uuid::from_u128(1));
            let (user, _) = new_users(&token(None, Some(name)), id).unwrap();
            assert_eq!(user.full_name.is_some(), is_kept, "{name}");
        }
    }
}
