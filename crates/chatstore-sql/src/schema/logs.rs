//! Events: what happened to whom, and who caused it. Rows are added and deleted; only an erasure changes them.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Json, Text, Time, Uuid};

use super::parts::{Table, check, foreign_key, index, optional, required};

/// Ids sort as times do, so they are what lists and the retention go by. Who caused an event is no reference: an event
/// outlives them.
pub(crate) const LOGS: Table = Table {
    name: "logs",
    entity: "event",
    repository: "logs",
    columns: &[
        required("user_id", Uuid),
        required("id", Uuid),
        required("at", Time),
        required("level", Text),
        required("event", Text),
        optional("conversation_id", Uuid),
        optional("request_id", Text),
        optional("actor_id", Uuid),
        optional("key_id", Uuid),
        optional("acting_for_id", Uuid),
        required("data", Json),
    ],
    primary_key: &["user_id", "id"],
    key_field: Some("id"),
    uniques: &[],
    foreign_keys: &[foreign_key("fk_logs_user_id", &["user_id"], "users", &["id"], Cascade)],
    checks: &[check("ck_logs_level", "level in ('debug', 'info', 'warn', 'error')")],
    indexes: &[
        index("ix_logs_id", &["id"], None),
        index("ix_logs_level", &["level", "id"], Some("level <> 'info'")),
        index("ix_logs_event", &["event", "id"], None),
        // What users cause to themselves, which is most, is found by the primary key.
        index("ix_logs_actor_id", &["actor_id"], Some("actor_id <> user_id")),
        index("ix_logs_acting_for_id", &["acting_for_id"], Some("acting_for_id <> user_id")),
    ],
};
