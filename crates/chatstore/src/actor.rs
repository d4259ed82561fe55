//! Who causes what happens.

use std::cell::Cell;
use std::sync::Arc;

use chatstore_model::fields::LOG_REQUEST_ID;
use chatstore_model::{ApiKeyId, SessionId, UserId};
use chatstore_sql::LogActor;

use crate::principal::{Credential, Principal};

tokio::task_local! {
    /// A service is told what to do, but not by whom: most of what it does is the same for everybody. Security events
    /// alone have to name the one who caused them, wherever they happen.
    static PRESENT: Present;
}

struct Present {
    actor: Cell<Actor>,
    request_id: Option<Arc<str>>,
}

/// Who causes what happens, for [security events](crate#security-events). By default the application itself, or a client
/// without credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Actor {
    /// The holder of the credentials, if there are any.
    pub user_id: Option<UserId>,
    /// What the holder showed.
    pub credential: Option<Credential>,
    /// The user that a service acts for.
    pub acting_for: Option<UserId>,
}

impl Actor {
    /// A caller with the rights of `user`: the holder of the credentials, or the user that a service acts for.
    #[must_use]
    pub fn of(principal: &Principal, user: UserId) -> Self {
        Self {
            user_id: Some(principal.user_id),
            credential: Some(principal.credential),
            acting_for: (user != principal.user_id).then_some(user),
        }
    }

    /// Does work that this actor causes. Tasks that it spawns are the application's own again.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> T {
        PRESENT.scope(Present { actor: Cell::new(self), request_id: None }, work).await
    }

    /// The same in a request with an id, which events name as well; an id that no event may have is left out.
    pub async fn run_request<T>(self, request_id: Arc<str>, work: impl Future<Output = T>) -> T {
        let request_id = Some(request_id).filter(|id| LOG_REQUEST_ID.takes(id));
        PRESENT.scope(Present { actor: Cell::new(self), request_id }, work).await
    }

    /// Says who it is from now on in the present [`run`](Self::run), for servers that learn so only while they read the
    /// request. Elsewhere it changes nothing.
    pub fn enter(self) {
        // An error says that nobody asked.
        let _ = PRESENT.try_with(|present| present.actor.set(self));
    }

    /// Who it is now.
    #[must_use]
    pub fn present() -> Self {
        PRESENT.try_with(|present| present.actor.get()).unwrap_or_default()
    }

    /// The id of the present request.
    pub(crate) fn present_request_id() -> Option<String> {
        PRESENT.try_with(|present| present.request_id.as_deref().map(str::to_owned)).unwrap_or_default()
    }

    /// The key that was shown.
    pub(crate) const fn key_id(self) -> Option<ApiKeyId> {
        match self.credential {
            Some(Credential::Key { id, .. }) => Some(id),
            Some(Credential::Session(_) | Credential::Provider | Credential::Application) | None => None,
        }
    }

    /// The session whose token was shown.
    pub(crate) const fn session_id(self) -> Option<SessionId> {
        match self.credential {
            Some(Credential::Session(id)) => Some(id),
            Some(Credential::Key { .. } | Credential::Provider | Credential::Application) | None => None,
        }
    }

    /// As an event is stored with it.
    pub(crate) const fn of_log(self) -> LogActor {
        LogActor { id: self.user_id, key_id: self.key_id(), acting_for_id: self.acting_for }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_actor_is_present_in_its_own_work_alone() {
        let ada = Actor { user_id: Some(UserId::ANONYMOUS), ..Actor::default() };
        ada.enter();
        assert_eq!(Actor::present(), Actor::default(), "nobody runs anything");
        let (first, second) = tokio::join!(
            Actor::default().run(async {
                assert_eq!(Actor::present(), Actor::default());
                ada.enter();
                tokio::task::yield_now().await;
                Actor::present()
            }),
            Actor::default().run(async {
                tokio::task::yield_now().await;
                Actor::present()
            }),
        );
        assert_eq!((first, second), (ada, Actor::default()));
    }
}
