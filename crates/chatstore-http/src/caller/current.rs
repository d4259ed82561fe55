//! The user whose rights a request has.

use std::sync::Arc;

use chatstore::auth::{Actor, Credential, Principal};
use chatstore::{AsUser, KeyRights, SessionId, User, UserId, UserRole};
use tracing::Span;
use tracing::field::display;

use crate::error::Problem;
use crate::state::AppState;

/// The user whose rights a request has, and the store as they see it.
#[derive(Debug)]
pub(crate) struct Caller {
    state: AppState,
    user: UserId,
    role: UserRole,
    credential: Option<Credential>,
    rights: Arc<KeyRights>,
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
    pub(crate) fn is_service(&self) -> bool {
        self.credential.is_some_and(Credential::is_service)
    }

    /// Fails unless the caller may write what every user finds: for administrators, and for services that are for all users.
    pub(crate) fn speaks_to_all_users(&self) -> Result<(), Problem> {
        match self.is_service() {
            true if self.rights.is_for_some_users() => {
                Err(Problem::forbidden("this key is for some users only"))
            }
            false if !self.is_admin() => {
                let detail = "what every user finds is written by administrators and service keys";
                Err(Problem::forbidden(detail))
            }
            _ => Ok(()),
        }
    }

    /// Whether the request came without credentials, which is possible only where that is enabled.
    pub(crate) const fn is_anonymous(&self) -> bool {
        self.credential.is_none()
    }

    /// The session whose access token the request came with.
    pub(crate) const fn session(&self) -> Option<SessionId> {
        match self.credential {
            Some(Credential::Session(id)) => Some(id),
            _ => None,
        }
    }

    /// What the request came with, if it came with anything.
    pub(crate) const fn credential(&self) -> Option<Credential> {
        self.credential
    }

    /// A user as the caller sees them.
    pub(crate) fn seen(&self, user: User) -> User {
        seen(user, self.credential, &self.rights)
    }

    /// Fails unless the user has shown the password again lately, for what a stolen session or key must not do. A
    /// service that acts for a user is not asked, nor is a user without a password.
    pub(crate) async fn require_confirmation(&self) -> Result<(), Problem> {
        let Some(credential) = self.credential else { return Ok(()) };
        require_confirmation(&self.state, self.user, credential).await
    }

    pub(super) fn new(state: &AppState, user: UserId, role: UserRole, principal: Option<&Principal>) -> Self {
        Self {
            state: state.clone(),
            user,
            role,
            credential: principal.map(|principal| principal.credential),
            rights: principal.map(|principal| Arc::clone(&principal.rights)).unwrap_or_default(),
            actor: principal.map(|principal| Actor::of(principal, user)).unwrap_or_default(),
        }
    }

    pub(super) fn of(state: &AppState, principal: &Principal) -> Self {
        Self::new(state, principal.user_id, principal.role, Some(principal))
    }

    /// Records in the request's span who it is, and that what happens from now on is caused by them.
    pub(super) fn recorded(self) -> Self {
        self.actor.enter();
        let span = Span::current();
        span.record("user.id", display(self.user));
        match self.credential {
            Some(Credential::Key { id, .. }) => span.record("key.id", display(id)),
            Some(Credential::Session(id)) => span.record("session.id", display(id)),
            Some(Credential::Provider | Credential::Application) | None => &span,
        };
        self
    }
}

pub(super) async fn require_confirmation(
    state: &AppState,
    user: UserId,
    credential: Credential,
) -> Result<(), Problem> {
    if credential.is_service() || state.store().auth().is_confirmed(user, credential).await? {
        return Ok(());
    }
    Err(Problem::confirmation_required())
}

/// A user as the holder of a credential sees them: a service sees external ids of its own namespace only.
pub(super) fn seen(mut user: User, credential: Option<Credential>, rights: &KeyRights) -> User {
    let own = rights.external_namespace().map(|namespace| namespace.as_str());
    if credential.is_some_and(Credential::is_service) && user.external_namespace.as_deref() != own {
        (user.external_namespace, user.external_id) = (None, None);
    }
    user
}
