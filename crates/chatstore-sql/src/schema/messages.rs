//! Messages, numbered within their conversation.

use chatstore_migrate::model::Action::{Cascade, NoAction};
use chatstore_migrate::model::ColumnType::{Int, Json, Text, Time, Uuid};

use super::parts::{Table, check, foreign_key, index, later, optional, required, unique};

pub(crate) const MESSAGES: Table = Table {
    name: "messages",
    entity: "message",
    repository: "messages",
    columns: &[
        required("owner_id", Uuid),
        required("conversation_id", Uuid),
        required("seq", Int),
        required("id", Uuid),
        optional("sender_id", Uuid),
        required("role", Text),
        required("content", Text),
        optional("parts", Text),
        optional("model", Text),
        optional("token_count", Int),
        required("used_documents", Json),
        required("metadata", Json),
        required("created_at", Time),
        later("edited_at", Time),
        optional("format", Text),
        optional("external_id", Text),
        later("parent_seq", Int),
    ],
    primary_key: &["owner_id", "conversation_id", "seq"],
    key_field: None,
    uniques: &[unique("uq_messages_id", &["owner_id", "id"], "id")],
    foreign_keys: &[
        foreign_key(
            "fk_messages_conversation",
            &["owner_id", "conversation_id"],
            "conversations",
            &["owner_id", "id"],
            Cascade,
        ),
        foreign_key("fk_messages_sender_id", &["sender_id"], "users", &["id"], NoAction),
    ],
    checks: &[
        check("ck_messages_role", "role in ('system', 'developer', 'user', 'assistant', 'tool')"),
        check("ck_messages_seq", "seq > 0"),
        check("ck_messages_token_count", "token_count >= 0"),
    ],
    indexes: &[
        index("ix_messages_sender_id", &["sender_id"], Some("sender_id is not null")),
        index(
            "ix_messages_format",
            &["owner_id", "conversation_id", "format", "seq"],
            Some("format is not null"),
        ),
        // No unique constraint: that would have an entry for each of the many messages without such an id.
        index(
            "ix_messages_external_id",
            &["owner_id", "conversation_id", "external_id"],
            Some("external_id is not null"),
        )
        .unique_in("external_id"),
        // Where a path leaves the order of the numbers. Messages that never branched are in neither.
        index(
            "ix_messages_jump",
            &["owner_id", "conversation_id", "seq", "parent_seq"],
            Some("parent_seq <> seq - 1"),
        ),
        index(
            "ix_messages_parent_seq",
            &["owner_id", "conversation_id", "parent_seq", "seq"],
            Some("parent_seq is not null"),
        ),
    ],
};
