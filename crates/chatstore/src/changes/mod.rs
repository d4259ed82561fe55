//! Changes of who callers are, of which other processes have to hear.
//!
//! A process remembers for a few seconds who a caller is ([`cache`](crate::cache)). What another one changes it hears from a
//! [`Messenger`], and forgets what is not true any more; without one it notices when its time is over.

mod messenger;
mod postgres;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chatstore_model::{SessionId, UserId};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::cache::{Cache as _, Callers, SessionKey};

pub use messenger::{Hear, Heard, Messenger, MessengerFuture};
pub(crate) use postgres::PostgresMessenger;

/// How long a change waits until the others are told.
const TELL_WAIT: Duration = Duration::from_millis(250);

/// What may not be true any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallerChange {
    /// One session.
    Session(UserId, SessionId),
    /// Anything about a user or a key.
    Everything,
}

impl fmt::Display for CallerChange {
    /// As processes tell it to each other, also those of different versions.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(user, session) => write!(formatter, "session {user} {session}"),
            Self::Everything => formatter.write_str("callers"),
        }
    }
}

impl CallerChange {
    /// What a text tells. One of a newer version may mean anything.
    fn parse(text: &str) -> Self {
        let session = text.strip_prefix("session ").and_then(|ids| ids.split_once(' '));
        let ids = session
            .and_then(|(user, session)| Some((Uuid::try_parse(user).ok()?, Uuid::try_parse(session).ok()?)));
        match ids {
            Some((user, session)) => Self::Session(UserId::from_uuid(user), SessionId::from_uuid(session)),
            None => Self::Everything,
        }
    }
}

/// The other processes with this database: how they are told, and that they are heard for as long as there are clones.
#[derive(Clone, Default)]
pub(crate) struct Others {
    messenger: Option<Arc<dyn Messenger>>,
    listener: Option<Arc<Listener>>,
}

struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Others {
    /// Those who are told, and heard if `listens`, by this messenger. Whatever they tell, `callers` forget.
    pub(crate) fn new(messenger: Option<Arc<dyn Messenger>>, listens: bool, callers: &Callers) -> Self {
        let listener = messenger.as_ref().filter(|_| listens).map(|messenger| {
            let callers = callers.clone();
            let hear: Hear = Box::new(move |heard| match heard {
                Heard::Text(text) => callers.forget(CallerChange::parse(text)),
                Heard::Interrupted => callers.forget(CallerChange::Everything),
            });
            let listening = tokio::spawn(Arc::clone(messenger).listen(hear));
            Arc::new(Listener(listening.abort_handle()))
        });
        Self { messenger, listener }
    }

    pub(crate) async fn tell(&self, change: CallerChange) {
        let Some(messenger) = &self.messenger else { return };
        let is_late = timeout(TELL_WAIT, messenger.publish(&change.to_string())).await.is_err();
        if is_late {
            tracing::debug!("a change was not told to other processes in time");
        }
    }

    /// Hears no more.
    pub(crate) fn stop(&self) {
        if let Some(listener) = &self.listener {
            listener.0.abort();
        }
    }
}

impl Callers {
    /// Forgets what may not be true any more.
    pub(crate) fn forget(&self, change: CallerChange) {
        match change {
            CallerChange::Session(user, session) => self.sessions.forget(&SessionKey(user, session)),
            CallerChange::Everything => self.forget_all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_a_session_or_else_that_anything_may_have_changed() {
        let (user, session) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let session = CallerChange::Session(UserId::from_uuid(user), SessionId::from_uuid(session));
        for change in [session, CallerChange::Everything] {
            assert_eq!(CallerChange::parse(&change.to_string()), change);
        }
        for text in ["", "session", "session 1 2", "key 00000000-0000-0000-0000-000000000001"] {
            assert_eq!(CallerChange::parse(text), CallerChange::Everything, "{text}");
        }
    }
}
