//! Usage by owner, day and model.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Int, Text, Time, Uuid};

use super::parts::{Table, foreign_key, required};

pub(crate) const USAGE_DAILY: Table = Table {
    name: "usage_daily",
    entity: "usage",
    repository: "usage",
    columns: &[
        required("owner_id", Uuid),
        required("day", Time),
        required("model", Text),
        required("requests", Int),
        required("cached_requests", Int),
        required("tokens_prompt", Int),
        required("tokens_completion", Int),
        required("tokens_total", Int),
        required("completion_time_ms_sum", Int),
        required("cost_micros", Int),
    ],
    primary_key: &["owner_id", "day", "model"],
    key_field: None,
    uniques: &[],
    foreign_keys: &[foreign_key("fk_usage_daily_owner_id", &["owner_id"], "users", &["id"], Cascade)],
    checks: &[],
    indexes: &[],
};
