//! API keys, found by their hash.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Bytes, Json, Text, Time, Uuid};

use super::parts::{Table, check, foreign_key, index, later, optional, required, unique};

pub(crate) const API_KEYS: Table = Table {
    name: "api_keys",
    entity: "api_key",
    repository: "api_keys",
    columns: &[
        required("user_id", Uuid),
        required("id", Uuid),
        required("scope", Text),
        optional("name", Text),
        required("prefix", Text),
        required("key_hash", Bytes),
        required("created_at", Time),
        later("last_used_at", Time),
        optional("expires_at", Time),
        later("revoked_at", Time),
        optional("rights", Json),
        later("previous_expires_at", Time),
        later("previous_key_hash", Bytes),
        later("password_confirmed_at", Time),
    ],
    primary_key: &["user_id", "id"],
    key_field: Some("id"),
    uniques: &[unique("uq_api_keys_key_hash", &["user_id", "key_hash"], "key")],
    foreign_keys: &[foreign_key("fk_api_keys_user_id", &["user_id"], "users", &["id"], Cascade)],
    checks: &[
        check("ck_api_keys_scope", "scope in ('user', 'service')"),
        check("ck_api_keys_previous", "(previous_key_hash is null) = (previous_expires_at is null)"),
    ],
    indexes: &[index(
        "ix_api_keys_previous_key_hash",
        &["user_id", "previous_key_hash"],
        Some("previous_key_hash is not null"),
    )
    .unique_in("key")],
};
