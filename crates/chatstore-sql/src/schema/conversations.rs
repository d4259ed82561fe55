//! Conversations, each with the counts and the preview that lists show.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Int, Json, Text, Time, Uuid};

use super::parts::{Table, check, foreign_key, index, later, optional, required, unique};

/// Which rows are archived, and which are not.
pub(crate) const ARCHIVED: &str = "archived_at is not null";
pub(crate) const UNARCHIVED: &str = "archived_at is null";

/// Each row is in one index of an order: of what is archived or of what is not. A change writes no more than one, and
/// both lists cost the same however long the other is.
const BY_UPDATE: [&str; 3] = ["owner_id", "updated_at desc", "id desc"];
const BY_CREATION: [&str; 3] = ["owner_id", "created_at desc", "id desc"];

pub(crate) const CONVERSATIONS: Table = Table {
    name: "conversations",
    entity: "conversation",
    repository: "conversations",
    columns: &[
        required("owner_id", Uuid),
        required("id", Uuid),
        optional("thread_id", Text),
        optional("title", Text),
        optional("default_model", Text),
        required("last_seq", Int),
        required("message_count", Int),
        optional("last_message", Text),
        later("last_message_at", Time),
        required("revision", Int),
        required("metadata", Json),
        required("created_at", Time),
        required("updated_at", Time),
        later("archived_at", Time),
        later("deleted_at", Time),
        later("head_seq", Int),
    ],
    primary_key: &["owner_id", "id"],
    key_field: Some("id"),
    uniques: &[unique("uq_conversations_thread_id", &["owner_id", "thread_id"], "thread_id")],
    foreign_keys: &[foreign_key("fk_conversations_owner_id", &["owner_id"], "users", &["id"], Cascade)],
    checks: &[check("ck_conversations_counts", "message_count >= 0 and last_seq >= message_count")],
    indexes: &[
        index("ix_conversations_updated_at", &BY_UPDATE, Some(UNARCHIVED)),
        index("ix_conversations_created_at", &BY_CREATION, Some(UNARCHIVED)),
        index("ix_conversations_archived_updated_at", &BY_UPDATE, Some(ARCHIVED)),
        index("ix_conversations_archived_created_at", &BY_CREATION, Some(ARCHIVED)),
        index("ix_conversations_deleted", &["owner_id", "id"], Some("deleted_at is not null")),
    ],
};
