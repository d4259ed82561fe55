//! Members of conversations who are not their owners.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Text, Time, Uuid};

use super::parts::{Table, check, foreign_key, index, required};

pub(crate) const CONVERSATION_MEMBERS: Table = Table {
    name: "conversation_members",
    entity: "member",
    repository: "members",
    columns: &[
        required("owner_id", Uuid),
        required("conversation_id", Uuid),
        required("user_id", Uuid),
        required("role", Text),
        required("joined_at", Time),
    ],
    primary_key: &["owner_id", "conversation_id", "user_id"],
    key_field: None,
    uniques: &[],
    foreign_keys: &[
        foreign_key(
            "fk_conversation_members_conversation",
            &["owner_id", "conversation_id"],
            "conversations",
            &["owner_id", "id"],
            Cascade,
        ),
        foreign_key("fk_conversation_members_user_id", &["user_id"], "users", &["id"], Cascade),
    ],
    checks: &[
        check("ck_conversation_members_role", "role in ('editor', 'viewer')"),
        check("ck_conversation_members_not_owner", "user_id <> owner_id"),
    ],
    indexes: &[index("ix_conversation_members_user_id", &["user_id", "conversation_id"], None)],
};
