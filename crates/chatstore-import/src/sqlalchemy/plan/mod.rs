//! Their rows as rows of ours, before it is known what is there already.

mod conversations;
mod messages;
mod users;

use chatstore_model::{
    Conversation, ConversationId, Json, MessageId, NewConversation, NewMessage, NewUser, Response, UserId,
};
use chatstore_sql::ForeignValue;
use serde_json::Value;
use uuid::Uuid;

use super::Reported;
use super::moment::{self, Moment};
use super::row::{Row, quoted, shown};

pub(super) use conversations::{OwnerKey, conversation};
pub(super) use messages::{Around, message};
pub(super) use users::user;

/// The name space of imported ids (RFC 9562, section 5.5); made once, never to be changed.
const NAMESPACE: Uuid = Uuid::from_u128(0x2b8f_41c6_3d0a_4e57_9a6e_71d2_c0b4_f583);

/// A user of theirs.
#[derive(Debug)]
pub(super) struct PlannedUser {
    pub(super) id: UserId,
    pub(super) new: NewUser,
    pub(super) key: String,
    /// Whether somebody with this address is this user, as where the address is the key.
    pub(super) is_address: bool,
    pub(super) reported: Vec<Reported>,
}

/// Whose conversation it is.
#[derive(Debug)]
pub(super) enum Owner {
    Known(UserId),
    /// Whoever has this address; made when there is nobody.
    Addressed(Box<PlannedUser>),
}

/// A conversation of theirs without its messages.
#[derive(Debug)]
pub(super) struct PlannedConversation {
    pub(super) owner: Owner,
    pub(super) new: NewConversation,
    pub(super) id: ConversationId,
    /// The id to take when the other belongs to another conversation of theirs.
    pub(super) derived: ConversationId,
    pub(super) key: String,
    /// Whether the thread id is what identifies it.
    pub(super) is_thread: bool,
    pub(super) reported: Vec<Reported>,
}

/// A message of theirs with its response.
#[derive(Debug)]
pub(super) struct PlannedMessage {
    pub(super) id: MessageId,
    /// Whether the id is the UUID it has there.
    has_uuid: bool,
    /// The id of its conversation, which the one derived from its key is made of.
    of: ConversationId,
    pub(super) new: NewMessage,
    pub(super) key: String,
    pub(super) response: Option<PlannedResponse>,
    pub(super) reported: Vec<Reported>,
}

impl PlannedMessage {
    /// Whether a message with its id, of which this is the metadata, came from another row of theirs.
    pub(super) fn is_anothers(&self, metadata: &Json) -> bool {
        self.has_uuid && is_anothers(metadata, &self.key)
    }

    /// The id to take when the other belongs to another message of theirs.
    pub(super) fn derived(&self) -> MessageId {
        derived_id(self.of, &self.key)
    }
}

impl PlannedConversation {
    /// Whether a conversation with its id, of which this is the metadata, came from another row of theirs.
    pub(super) fn is_anothers(&self, metadata: &Json) -> bool {
        self.id != self.derived && is_anothers(metadata, &self.key)
    }
}

/// A response of theirs; its message's id is known later.
#[derive(Debug)]
pub(super) struct PlannedResponse {
    pub(super) key: String,
    pub(super) response: Response,
    pub(super) reported: Vec<Reported>,
}

/// A UUIDv5 of parts that cannot run into each other.
fn derived(parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

/// The id of a user whose key is a number: numbers repeat from database to database, so the time
/// the user was made belongs to it. It is the same whatever database holds the row.
pub(super) fn user_id(key: &ForeignValue, created_at: &ForeignValue) -> UserId {
    let made = match moment::read(created_at, true) {
        Moment::Instant(at) | Moment::WithoutZone(at) | Moment::OtherForm(at, _) => at.to_string(),
        Moment::Missing | Moment::Unusable => shown(created_at),
    };
    UserId::from_uuid(derived(&[b"chat-app user", shown(key).as_bytes(), made.as_bytes()]))
}

/// The id of a user whose key is an e-mail address.
fn addressed_id(address: &str) -> UserId {
    UserId::from_uuid(derived(&[b"pakton user", address.as_bytes()]))
}

fn derived_id(conversation: ConversationId, key: &str) -> MessageId {
    MessageId::from_uuid(derived(&[b"message", conversation.uuid().as_bytes(), key.as_bytes()]))
}

/// A UUID in any spelling; the text is kept aside.
fn uuid(row: &mut Row<'_>) -> Option<Uuid> {
    row.keep("uuid");
    let found = match row.value("uuid") {
        ForeignValue::Text(text) => Uuid::try_parse(text.trim()).ok(),
        ForeignValue::Bytes(bytes) => Uuid::from_slice(bytes).ok(),
        _ => None,
    };
    let usable = found.filter(|uuid| !uuid.is_nil());
    if usable.is_none() {
        let problem = format!("{} is no UUID", quoted(row.value("uuid")));
        row.report(Some("uuid"), problem, "it has an id made from its key; the text is in metadata.source");
    }
    usable
}

/// Whether metadata names another integer key of theirs.
fn is_anothers(metadata: &Json, key: &str) -> bool {
    let source = metadata.value().get("source").and_then(|source| source.get("id"));
    let named = match source {
        None | Some(Value::Null) => return false,
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    named != key
}

/// Whether a conversation that is there still says what the row says.
pub(super) fn says_the_same(there: &Conversation, new: &NewConversation) -> bool {
    let has_same_preview = there.message_count > 0 || there.last_message == new.last_message;
    there.title == new.title && there.default_model == new.default_model && has_same_preview
}
