//! Sessions, each with the newest access token.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Int, Text, Time, Uuid};

use super::parts::{Table, check, foreign_key, index, later, optional, required, unique};

pub(crate) const SESSIONS: Table = Table {
    name: "sessions",
    entity: "session",
    repository: "sessions",
    columns: &[
        required("user_id", Uuid),
        required("id", Uuid),
        required("access_jti", Uuid),
        optional("user_agent", Text),
        optional("ip", Text),
        required("created_at", Time),
        required("last_activity", Time),
        required("expires_at", Time),
        later("revoked_at", Time),
        later("revoke_reason", Text),
        later("used_counter", Int),
        later("password_confirmed_at", Time),
    ],
    primary_key: &["user_id", "id"],
    key_field: Some("id"),
    uniques: &[unique("uq_sessions_access_jti", &["user_id", "access_jti"], "access_jti")],
    foreign_keys: &[foreign_key("fk_sessions_user_id", &["user_id"], "users", &["id"], Cascade)],
    checks: &[check("ck_sessions_revoked", "(revoked_at is null) = (revoke_reason is null)")],
    indexes: &[
        index("ix_sessions_last_activity", &["user_id", "last_activity desc", "id desc"], None),
        index("ix_sessions_expires_at", &["expires_at"], None),
    ],
};
