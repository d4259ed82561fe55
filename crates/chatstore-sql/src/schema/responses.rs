//! What a model reported about the message that it wrote.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Bool, Int, Text, Time, Uuid};

use super::parts::{Table, foreign_key, optional, required};

pub(crate) const RESPONSES: Table = Table {
    name: "responses",
    entity: "response",
    repository: "responses",
    columns: &[
        required("owner_id", Uuid),
        required("message_id", Uuid),
        required("conversation_id", Uuid),
        required("model_used", Text),
        optional("tokens_prompt", Int),
        optional("tokens_completion", Int),
        optional("tokens_total", Int),
        optional("tokens_cached", Int),
        optional("completion_time_ms", Int),
        optional("finish_reason", Text),
        required("from_cache", Bool),
        required("created_at", Time),
    ],
    primary_key: &["owner_id", "message_id"],
    key_field: Some("message_id"),
    uniques: &[],
    foreign_keys: &[foreign_key(
        "fk_responses_message",
        &["owner_id", "message_id"],
        "messages",
        &["owner_id", "id"],
        Cascade,
    )],
    checks: &[],
    indexes: &[],
};
