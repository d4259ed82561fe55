//! The rows that a source is to become, planned before it is known what is stored already.
//!
//! A planned row has an id that follows from what identifies it in the source, so that the next import finds
//! it. The key that it has there is kept in `metadata.source.id`.

use chatstore_model::{
    CanonicalJson, Conversation, ConversationId, MessageId, ModelResponse, NewConversation, NewDocument,
    NewMessage, NewUser, Timestamp, UserId,
};
use serde_json::Value;
use uuid::Uuid;

use crate::report::Issue;

/// A user.
#[derive(Debug, Clone)]
pub struct PlannedUser {
    /// The id, as in `new`.
    pub id: UserId,
    /// What is stored when there is no such user.
    pub new: NewUser,
    /// What identifies the row in the source.
    pub key: String,
    /// What else than the id makes a stored user this user.
    pub identified_by: UserIdentity,
    /// Whether a user who is added without a password gets a random one, which the report tells.
    pub wants_password: bool,
    /// What did not fit; reported when the user is added.
    pub issues: Vec<Issue>,
}

/// What makes a stored user the same as one of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserIdentity {
    /// The id alone.
    Id,
    /// The verified address as well.
    Email,
    /// The user name as well.
    Username,
}

impl PlannedUser {
    /// A user who is identified by the id, with nothing to report.
    #[must_use]
    pub fn new(id: UserId, new: NewUser, key: impl Into<String>) -> Self {
        let (key, identified_by) = (key.into(), UserIdentity::Id);
        Self { id, new, key, identified_by, wants_password: false, issues: Vec::new() }
    }
}

/// Who owns a conversation.
#[derive(Debug, Clone)]
pub enum PlannedOwner {
    /// The user with this id, who is stored already.
    Known(UserId),
    /// The user with this address or name, who is created when there is none.
    Described(Box<PlannedUser>),
}

/// A document.
#[derive(Debug, Clone)]
pub struct PlannedDocument {
    /// Who owns it.
    pub owner: PlannedOwner,
    /// What is stored when there is no such document; it has an id.
    pub new: NewDocument,
    /// What identifies the row in the source.
    pub key: String,
    /// What did not fit; reported when the document is added.
    pub issues: Vec<Issue>,
}

/// A conversation without its messages.
#[derive(Debug, Clone)]
pub struct PlannedConversation {
    /// Who owns it.
    pub owner: PlannedOwner,
    /// What is stored when there is no such conversation.
    pub new: NewConversation,
    /// The id, as in `new`.
    pub id: ConversationId,
    /// The id to take when the other belongs to another conversation of the source; the same when it cannot.
    pub fallback_id: ConversationId,
    /// What identifies the row in the source.
    pub key: String,
    /// Whether the thread id identifies it.
    pub is_thread: bool,
    /// Users other than the owner who may write in it, added together with it.
    pub members: Vec<UserId>,
    /// What did not fit; reported when the conversation is added.
    pub issues: Vec<Issue>,
}

/// A message with its response.
#[derive(Debug, Clone)]
pub struct PlannedMessage {
    /// The id, as in `new`.
    pub id: MessageId,
    /// The id to take when the other belongs to another message of the source; the same when it cannot.
    pub fallback_id: MessageId,
    /// What is stored when there is no such message.
    pub new: NewMessage,
    /// What identifies the row in the source.
    pub key: String,
    /// The response that belongs to it.
    pub response: Option<PlannedResponse>,
    /// Who wrote it, if not the owner of its conversation.
    pub sender: Option<UserId>,
    /// What did not fit; reported when the message is added.
    pub issues: Vec<Issue>,
}

/// The response of a message.
#[derive(Debug, Clone)]
pub struct PlannedResponse {
    /// What identifies the row in the source.
    pub key: String,
    /// What is stored; the ids of message and conversation are set then.
    pub response: ModelResponse,
    /// What did not fit; reported when the response is added.
    pub issues: Vec<Issue>,
}

impl PlannedConversation {
    /// Whether a conversation with its id, which has this metadata, came from another row of the source.
    pub(crate) fn is_another_row(&self, metadata: &CanonicalJson) -> bool {
        self.id != self.fallback_id && names_another_key(metadata, &self.key)
    }
}

impl PlannedMessage {
    /// Whether a message with its id, which has this metadata, came from another row of the source.
    pub(crate) fn is_another_row(&self, metadata: &CanonicalJson) -> bool {
        self.id != self.fallback_id && names_another_key(metadata, &self.key)
    }
}

fn names_another_key(metadata: &CanonicalJson, key: &str) -> bool {
    let named = match metadata.to_value().pointer("/source/id") {
        None | Some(Value::Null) => return false,
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    named != key
}

/// Whether a stored conversation still says what the row says.
pub(crate) fn is_unchanged(stored: &Conversation, new: &NewConversation) -> bool {
    let has_same_preview = stored.message_count > 0 || stored.last_message == new.last_message;
    stored.title == new.title && stored.default_model == new.default_model && has_same_preview
}

/// A UUIDv5 (RFC 9562, section 5.5) of a prefix and parts, each after its length, so that they cannot run
/// into each other. It must never change: the next import finds the rows by it.
#[must_use]
pub fn derived_uuid(namespace: Uuid, prefix: &[u8], parts: &[&[u8]]) -> Uuid {
    let mut name = prefix.to_vec();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&namespace, &name)
}

/// Gives a time to rows that have none: a microsecond after the row before.
#[derive(Debug, Clone, Copy)]
pub struct RowClock(Timestamp);

impl RowClock {
    /// Begins with this time.
    #[must_use]
    pub const fn starting_at(time: Timestamp) -> Self {
        Self(time)
    }

    /// Begins a microsecond after this time.
    #[must_use]
    pub fn following(time: Timestamp) -> Self {
        Self(time.plus_microseconds(1))
    }

    /// The time of the next row.
    #[must_use]
    pub const fn time(self) -> Timestamp {
        self.0
    }

    /// Goes on after a row that has this time, or the one that it was given.
    pub fn follow(&mut self, time: Option<Timestamp>) {
        *self = Self::following(time.unwrap_or(self.0));
    }
}
