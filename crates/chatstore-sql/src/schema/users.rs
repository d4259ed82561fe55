//! Users; the built-in one owns anonymous conversations.

use chatstore_migrate::model::ColumnType::{Bool, Json, Text, Time, Uuid};

use super::parts::{Table, check, index, later, optional, required, unique};

/// What the check of a user's name and address means.
pub(crate) const KEEPS_IDENTITY: &str = "a user must keep a username, an email or an external id";

pub(crate) const USERS: Table = Table {
    name: "users",
    entity: "user",
    repository: "users",
    columns: &[
        required("id", Uuid),
        optional("username", Text),
        optional("username_key", Text),
        optional("email", Text),
        optional("email_key", Text),
        optional("full_name", Text),
        optional("password_hash", Text),
        required("role", Text),
        required("is_active", Bool),
        required("must_change_password", Bool),
        required("metadata", Json),
        required("created_at", Time),
        required("updated_at", Time),
        later("deleted_at", Time),
        optional("email_verified_at", Time),
        optional("external_namespace", Text),
        optional("external_id", Text),
    ],
    primary_key: &["id"],
    key_field: Some("id"),
    uniques: &[
        unique("uq_users_username_key", &["username_key"], "username"),
        unique("uq_users_external_id", &["external_namespace", "external_id"], "external_id"),
    ],
    foreign_keys: &[],
    checks: &[
        check("ck_users_role", "role in ('user', 'admin')"),
        check(
            "ck_users_identity",
            "username_key is not null or email_key is not null or external_id is not null \
             or deleted_at is not null",
        )
        .means(KEEPS_IDENTITY),
        check("ck_users_external_id", "(external_namespace is null) = (external_id is null)"),
    ],
    indexes: &[
        index("ix_users_created_at", &["created_at", "id"], None),
        index("ix_users_deleted", &["id"], Some("deleted_at is not null")),
        index("ix_users_verified_email", &["email_key"], Some("email_verified_at is not null"))
            .unique_in("email"),
        index(
            "ix_users_claimed_email",
            &["email_key"],
            Some("email_verified_at is null and email_key is not null"),
        )
        .unique_in("email"),
        index(
            "ix_users_verified_password",
            &["id"],
            Some("email_verified_at is not null and password_hash is not null"),
        ),
        index(
            "ix_users_claimed_password",
            &["id"],
            Some("email_verified_at is null and email_key is not null and password_hash is not null"),
        ),
    ],
};
