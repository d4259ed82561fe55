//! Events on their way into the database: those who cause them do not wait for it.
//!
//! What happens is put into a queue of bounded size, from which a task writes it in batches. The task lives while there is
//! something to write. When the database fails, or is slower than events come, those that find no room are dropped and
//! counted.

mod waiting;
mod writer;

use std::sync::Arc;

use chatstore_model::{CanonicalJson, ConversationId, LogEvent, LogEventId, LogLevel, UserId};
use chatstore_sql::{Database, LogActor};
use serde_json::{Map, Value};

use crate::actor::Actor;
use waiting::Shared;
pub(crate) use waiting::Urgency;

/// What became of the events that were offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventLogCounts {
    /// Those that are in the database.
    pub stored: u64,
    /// Those that were dropped because the database failed or was too slow.
    pub dropped: u64,
    /// Those that wait for the database.
    pub waiting: u64,
}

/// An event that the server itself keeps.
pub(crate) struct ServerEvent {
    pub(crate) level: LogLevel,
    /// With the prefix that applications may not use.
    pub(crate) name: String,
    pub(crate) conversation_id: Option<ConversationId>,
    pub(crate) data: Map<String, Value>,
    pub(crate) urgency: Urgency,
}

/// The queue of a store. Its clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventQueue(Option<Arc<Shared>>);

impl EventQueue {
    /// A queue, or one that takes no events.
    pub(crate) fn new(is_on: bool) -> Self {
        Self(is_on.then(Arc::default))
    }

    /// Takes an event, unless there is no room; whether it did. Never waits.
    pub(crate) fn push(&self, database: &Database, urgency: Urgency, event: LogEvent) -> bool {
        let Some(shared) = &self.0 else { return false };
        let is_taken = shared.lock().push(urgency, event);
        if is_taken {
            writer::start(shared, database);
        }
        is_taken
    }

    /// Takes an event of the server, about a user or about no user, that an actor caused in a request. What finds no room is
    /// counted.
    pub(crate) fn keep(
        &self,
        database: &Database,
        user: Option<UserId>,
        (actor, request_id): (Actor, Option<String>),
        event: ServerEvent,
    ) {
        if self.0.is_none() {
            return;
        }
        let ServerEvent { level, name, conversation_id, data, urgency } = event;
        // Words and ids always become JSON.
        let data = CanonicalJson::new(Value::Object(data)).unwrap_or_else(|_| CanonicalJson::object());
        let draft = draft(database, user, actor);
        self.push(
            database,
            urgency,
            LogEvent { level, event: name, conversation_id, request_id, data, ..draft },
        );
    }

    /// Writes what waits, as far as that is possible within a bounded time.
    pub(crate) async fn flush(&self, database: &Database) {
        if let Some(shared) = &self.0 {
            writer::flush(shared, database).await;
        }
    }

    pub(crate) fn counts(&self) -> EventLogCounts {
        let Some(shared) = &self.0 else { return EventLogCounts::default() };
        let state = shared.lock();
        let waiting = (state.waiting.len() + state.in_batch) as u64;
        EventLogCounts { stored: state.stored, dropped: state.dropped, waiting }
    }
}

/// An event that happens now, about a user or about no user.
pub(crate) fn draft(database: &Database, user: Option<UserId>, actor: Actor) -> LogEvent {
    let at = database.clock().now();
    let LogActor { id: actor_id, key_id, acting_for_id } = actor.of_log();
    LogEvent {
        user_id: user.unwrap_or(UserId::ANONYMOUS),
        id: LogEventId::at(at, database.ids().uuid(at)),
        at,
        level: LogLevel::Info,
        event: String::new(),
        conversation_id: None,
        request_id: None,
        actor_id,
        key_id,
        acting_for_id,
        data: CanonicalJson::object(),
    }
}
