//! chat_app: users, conversations, messages and responses with integer keys beside UUIDs.

mod conversations;
mod messages;
mod orphans;

use chatstore_model::UserId;
use chatstore_sql::ExternalValue;
use uuid::Uuid;

use super::SqlalchemyError;
use super::reader::Reader;
use super::tables::{TableDescription, Tables};
use crate::source::planning::derived;
use crate::source::row::moment::{self, Moment};
use crate::source::row::{Row, quoted, shown};

pub(super) const TABLES: [TableDescription; 4] = [
    TableDescription {
        name: "users",
        singular: "user",
        required: &["id"],
        optional: &[
            "username",
            "email",
            "hashed_password",
            "full_name",
            "is_active",
            "created_at",
            "updated_at",
        ],
    },
    TableDescription {
        name: "conversations",
        singular: "conversation",
        required: &["id", "uuid"],
        optional: &["title", "default_model", "user_id", "created_at", "updated_at"],
    },
    TableDescription {
        name: "messages",
        singular: "message",
        required: &["id", "conversation_id", "role", "content"],
        optional: &["uuid", "model", "created_at"],
    },
    TableDescription {
        name: "responses",
        singular: "response",
        required: &["id", "message_id"],
        optional: &[
            "model_used",
            "tokens_prompt",
            "tokens_completion",
            "tokens_total",
            "completion_time_ms",
            "created_at",
        ],
    },
];

/// Hands over everything.
pub(super) async fn read(reader: &mut Reader<'_>, tables: &Tables) -> Result<(), SqlalchemyError> {
    let id_of = |row: &Row<'_>| user_id(row.value("id"), row.value("created_at"));
    reader.users(tables.get("users"), "id", id_of).await?;
    conversations::read(reader, tables).await?;
    reader.import.flush().await?;
    orphans::read(reader, tables).await
}

/// The id of a user whose key is a number: numbers repeat from database to database, so the time
/// at which the user was created belongs to it. It is the same whatever database holds the row.
fn user_id(key: &ExternalValue, created_at: &ExternalValue) -> UserId {
    let created = match moment::read(created_at, true) {
        Moment::Instant(at) | Moment::WithoutZone(at) | Moment::OtherForm(at, _) => at.to_string(),
        Moment::Missing | Moment::Unusable => shown(created_at),
    };
    UserId::from_uuid(derived(&[b"chat-app user", shown(key).as_bytes(), created.as_bytes()]))
}

/// A UUID in any spelling; the text is kept aside.
fn uuid(row: &mut Row<'_>) -> Option<Uuid> {
    row.keep("uuid");
    let found = match row.value("uuid") {
        ExternalValue::Text(text) => Uuid::try_parse(text.trim()).ok(),
        ExternalValue::Bytes(bytes) => Uuid::from_slice(bytes).ok(),
        _ => None,
    };
    let usable = found.filter(|uuid| !uuid.is_nil());
    if usable.is_none() {
        let problem = format!("{} is not a UUID", quoted(row.value("uuid")));
        row.report(Some("uuid"), problem, "its id is derived from its key; the text is in metadata.source");
    }
    usable
}
