//! Refresh tokens, found by their hash; those of one session are one family.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Bytes, Int, Time, Uuid};

use super::parts::{Table, check, foreign_key, index, later, optional, required, unique};

pub(crate) const REFRESH_TOKENS: Table = Table {
    name: "refresh_tokens",
    entity: "refresh_token",
    repository: "refresh_tokens",
    columns: &[
        required("user_id", Uuid),
        required("id", Uuid),
        required("session_id", Uuid),
        optional("parent_id", Uuid),
        required("counter", Int),
        required("token_hash", Bytes),
        required("created_at", Time),
        later("rotated_at", Time),
        later("confirmed_at", Time),
        required("expires_at", Time),
        later("revoked_at", Time),
    ],
    primary_key: &["user_id", "id"],
    key_field: Some("id"),
    uniques: &[
        unique("uq_refresh_tokens_token_hash", &["user_id", "token_hash"], "token"),
        unique("uq_refresh_tokens_counter", &["user_id", "session_id", "counter"], "counter"),
    ],
    foreign_keys: &[foreign_key(
        "fk_refresh_tokens_session",
        &["user_id", "session_id"],
        "sessions",
        &["user_id", "id"],
        Cascade,
    )],
    checks: &[check("ck_refresh_tokens_counter", "counter >= 0")],
    indexes: &[index("ix_refresh_tokens_expires_at", &["expires_at"], None)],
};
