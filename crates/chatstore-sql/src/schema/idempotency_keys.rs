//! Outcomes of requests with an idempotency key.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Bytes, Int, Json, Text, Time, Uuid};

use super::parts::{Table, foreign_key, index, optional, required};

pub(crate) const IDEMPOTENCY_KEYS: Table = Table {
    name: "idempotency_keys",
    entity: "idempotency_key",
    repository: "idempotency_keys",
    columns: &[
        required("owner_id", Uuid),
        required("caller_id", Uuid),
        required("key", Text),
        required("operation", Text),
        required("request_sha256", Bytes),
        required("status", Int),
        required("result", Json),
        required("created_at", Time),
        required("expires_at", Time),
        // Of a key that lives as long as what the conversation holds.
        optional("conversation_id", Uuid),
    ],
    primary_key: &["owner_id", "caller_id", "key"],
    key_field: Some("key"),
    uniques: &[],
    foreign_keys: &[
        foreign_key("fk_idempotency_keys_owner_id", &["owner_id"], "users", &["id"], Cascade),
        foreign_key("fk_idempotency_keys_caller_id", &["caller_id"], "users", &["id"], Cascade),
        foreign_key(
            "fk_idempotency_keys_conversation",
            &["owner_id", "conversation_id"],
            "conversations",
            &["owner_id", "id"],
            Cascade,
        ),
    ],
    checks: &[],
    indexes: &[
        index("ix_idempotency_keys_caller_id", &["caller_id", "key"], None),
        index("ix_idempotency_keys_expires_at", &["expires_at"], None),
        index(
            "ix_idempotency_keys_conversation",
            &["owner_id", "conversation_id"],
            Some("conversation_id is not null"),
        ),
    ],
};
