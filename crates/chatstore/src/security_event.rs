//! Events that those who watch over a server want to know: who did what to whom, with what, and how it ended.
//!
//! They hold ids and names of fields only: what a user typed cannot forge a line, and nothing has to be removed when a user
//! is erased. The request they belong to, and where it came from, is said by the span around them.

use chatstore_model::{ApiKeyId, ConversationId, LogLevel, SessionId, UserId};
use serde_json::Map;

use crate::actor::Actor;
use crate::event_queue::{ServerEvent, Urgency};
use crate::store::Store;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventOutcome {
    /// It was done.
    Done,
    /// It was tried, and refused.
    Refused,
}

impl EventOutcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// Something that happened to a user: to which of their sessions or keys, or in which conversation, and which fields were
/// changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecurityEvent {
    /// What happened.
    pub(crate) name: &'static str,
    pub(crate) outcome: EventOutcome,
    pub(crate) session_id: Option<SessionId>,
    pub(crate) key_id: Option<ApiKeyId>,
    pub(crate) conversation_id: Option<ConversationId>,
    /// The names of the fields, never their values.
    pub(crate) changed: Vec<&'static str>,
}

impl SecurityEvent {
    pub(crate) const USER_CREATED: Self = Self::done("user_created");
    pub(crate) const USER_REGISTERED: Self = Self::done("user_registered");
    pub(crate) const LOGIN_SUCCEEDED: Self = Self::done("login_succeeded");
    pub(crate) const LOGIN_FAILED: Self = Self::refused("login_failed");
    pub(crate) const LOGIN_LIMITED: Self = Self::refused("login_limited");
    pub(crate) const PASSWORD_UPGRADED: Self = Self::done("password_upgraded");
    pub(crate) const PASSWORD_CHANGED: Self = Self::done("password_changed");
    pub(crate) const PASSWORD_CHANGE_FAILED: Self = Self::refused("password_change_failed");
    pub(crate) const PASSWORD_SET: Self = Self::done("password_set");
    pub(crate) const REFRESH_TOKEN_REUSED: Self = Self::refused("refresh_token_reused");
    pub(crate) const LOGGED_OUT: Self = Self::done("logged_out");
    pub(crate) const LOGGED_OUT_EVERYWHERE: Self = Self::done("logged_out_everywhere");
    pub(crate) const SESSION_REVOKED: Self = Self::done("session_revoked");
    pub(crate) const USER_ENABLED: Self = Self::done("user_enabled");
    pub(crate) const USER_DISABLED: Self = Self::done("user_disabled");
    pub(crate) const USER_RENAMED: Self = Self::done("user_renamed");
    pub(crate) const ADDRESS_CHANGED: Self = Self::done("address_changed");
    pub(crate) const USER_CHANGED: Self = Self::done("user_changed");
    pub(crate) const USER_EXPORTED: Self = Self::done("user_exported");
    pub(crate) const USER_ERASED: Self = Self::done("user_erased");
    pub(crate) const ROLE_CHANGED: Self = Self::done("role_changed");
    pub(crate) const USER_PROVISIONED: Self = Self::done("user_provisioned");
    pub(crate) const IDENTITY_LINKED: Self = Self::done("identity_linked");
    pub(crate) const IDENTITY_UNLINKED: Self = Self::done("identity_unlinked");
    pub(crate) const KEY_CREATED: Self = Self::done("key_created");
    pub(crate) const KEY_REVOKED: Self = Self::done("key_revoked");
    pub(crate) const KEYS_REVOKED: Self = Self::done("keys_revoked");
    pub(crate) const KEY_ROTATED: Self = Self::done("key_rotated");
    pub(crate) const PASSWORD_CONFIRMED: Self = Self::done("password_confirmed");
    pub(crate) const PASSWORD_CONFIRMATION_FAILED: Self = Self::refused("password_confirmation_failed");
    pub(crate) const MEMBER_ADDED: Self = Self::done("member_added");
    pub(crate) const MEMBER_CHANGED: Self = Self::done("member_changed");
    pub(crate) const MEMBER_REMOVED: Self = Self::done("member_removed");
    pub(crate) const CACHE_INVALIDATED: Self = Self::done("cache_invalidated");

    /// Events by name and outcome whose metrics are there before they happen.
    pub(crate) fn expected() -> impl Iterator<Item = (&'static str, &'static str)> {
        let events = [
            Self::LOGIN_SUCCEEDED,
            Self::LOGIN_FAILED,
            Self::LOGIN_LIMITED,
            Self::REFRESH_TOKEN_REUSED,
            Self::PASSWORD_CHANGE_FAILED,
            Self::PASSWORD_CONFIRMATION_FAILED,
        ];
        events.into_iter().map(|event| (event.name, event.outcome.as_str()))
    }

    const fn done(name: &'static str) -> Self {
        Self::new(name, EventOutcome::Done)
    }

    const fn refused(name: &'static str) -> Self {
        Self::new(name, EventOutcome::Refused)
    }

    const fn new(name: &'static str, outcome: EventOutcome) -> Self {
        Self { name, outcome, session_id: None, key_id: None, conversation_id: None, changed: Vec::new() }
    }

    /// The same, of an API key of the user.
    pub(crate) fn key(mut self, key: ApiKeyId) -> Self {
        self.key_id = Some(key);
        self
    }

    /// The same, in a conversation.
    pub(crate) fn conversation(mut self, conversation: ConversationId) -> Self {
        self.conversation_id = Some(conversation);
        self
    }

    /// The same, by which these fields were changed.
    pub(crate) fn changed(mut self, fields: &[&'static str]) -> Self {
        self.changed = fields.to_vec();
        self
    }

    /// Notes that it happened to a session of a user.
    pub(crate) fn note_in(mut self, store: &Store, user: UserId, session: SessionId) {
        self.session_id = Some(session);
        self.note(store, Some(user));
    }

    /// Notes that it happened to a user, to no known one when there is none, and that the present actor caused it: in the
    /// log of the program, and in that of the store where it keeps one.
    pub(crate) fn note(self, store: &Store, user: Option<UserId>) {
        store.measures.note_security_event(self.name, self.outcome.as_str());
        let actor = Actor::present();
        let (actor_key, actor_session) = (actor.key_id(), actor.session_id());
        let changed = (!self.changed.is_empty()).then(|| self.changed.join(","));
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    target: "chatstore::security",
                    event = self.name,
                    outcome = self.outcome.as_str(),
                    actor.user.id = actor.user_id.map(tracing::field::display),
                    actor.key.id = actor_key.map(tracing::field::display),
                    actor.session.id = actor_session.map(tracing::field::display),
                    actor.acting_for = actor.acting_for.map(tracing::field::display),
                    user.id = user.map(tracing::field::display),
                    session.id = self.session_id.map(tracing::field::display),
                    key.id = self.key_id.map(tracing::field::display),
                    conversation.id = self.conversation_id.map(tracing::field::display),
                    changed,
                    "security"
                )
            };
        }
        match self.level() {
            LogLevel::Warn => log!(warn),
            _ => log!(info),
        }
        let caused = (actor, Actor::present_request_id());
        store.events.keep(&store.database, user, caused, self.kept(actor_session));
    }

    fn level(&self) -> LogLevel {
        // A token that two hold was stolen, as far as one can tell.
        if self.name == Self::REFRESH_TOKEN_REUSED.name { LogLevel::Warn } else { LogLevel::Info }
    }

    /// The event as the store keeps it.
    fn kept(self, actor_session: Option<SessionId>) -> ServerEvent {
        let mut data = Map::new();
        data.insert("outcome".to_owned(), self.outcome.as_str().into());
        let ids = [
            ("actor_session_id", actor_session.map(|id| id.to_string())),
            ("session_id", self.session_id.map(|id| id.to_string())),
            ("key_id", self.key_id.map(|id| id.to_string())),
        ];
        data.extend(ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), id?.into()))));
        if !self.changed.is_empty() {
            data.insert("changed".to_owned(), self.changed.clone().into());
        }
        ServerEvent {
            level: self.level(),
            name: format!("security.{}", self.name),
            conversation_id: self.conversation_id,
            data,
            urgency: Urgency::High,
        }
    }
}
