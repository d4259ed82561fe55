//! The declared schema: every table with its columns, constraints and indexes.
//!
//! New revisions are made from it ([`declared`]), and both databases are held to it. New columns
//! stand at the end of their table, because that is where databases add them.

mod parts;

use ColumnType::{Bool, Bytes, Int, Json, Text, Time, Uuid};
use chatstore_migrate::model;
use chatstore_migrate::model::Action::{Cascade, NoAction};
pub use chatstore_migrate::model::ColumnType;
pub use parts::{Check, Column, ForeignKey, Index, Table, Unique};
use parts::{check, foreign_key, index, optional, required, unique};

use crate::db::Sql;

/// The declared schema as the migration engine takes it.
#[must_use]
pub fn declared() -> model::Schema {
    model::Schema { tables: TABLES.iter().map(Table::model).collect() }
}

/// Every table, parents before children.
pub const TABLES: &[Table] = &[
    Table {
        name: "users",
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
        ],
        primary_key: &["id"],
        uniques: &[
            unique("uq_users_username_key", &["username_key"]),
            unique("uq_users_email_key", &["email_key"]),
        ],
        foreign_keys: &[],
        checks: &[
            check("ck_users_role", "role in ('user', 'admin')"),
            check("ck_users_identity", "username_key is not null or email_key is not null"),
        ],
        indexes: &[index("ix_users_created_at", &["created_at", "id"], None)],
        rows: Sql::same("users.rows", "select * from users order by id"),
    },
    Table {
        name: "conversations",
        columns: &[
            required("owner_id", Uuid),
            required("id", Uuid),
            optional("thread_id", Text),
            optional("title", Text),
            optional("default_model", Text),
            required("last_seq", Int),
            required("message_count", Int),
            optional("last_message", Text),
            optional("last_message_at", Time),
            required("revision", Int),
            required("metadata", Json),
            required("created_at", Time),
            required("updated_at", Time),
        ],
        primary_key: &["owner_id", "id"],
        uniques: &[unique("uq_conversations_thread_id", &["owner_id", "thread_id"])],
        foreign_keys: &[foreign_key("fk_conversations_owner_id", &["owner_id"], "users", &["id"], Cascade)],
        checks: &[check("ck_conversations_counts", "message_count >= 0 and last_seq >= message_count")],
        indexes: &[
            index("ix_conversations_updated_at", &["owner_id", "updated_at desc", "id desc"], None),
            index("ix_conversations_created_at", &["owner_id", "created_at desc", "id desc"], None),
        ],
        rows: Sql::same("conversations.rows", "select * from conversations order by owner_id, id"),
    },
    Table {
        name: "conversation_members",
        columns: &[
            required("owner_id", Uuid),
            required("conversation_id", Uuid),
            required("user_id", Uuid),
            required("role", Text),
            required("joined_at", Time),
        ],
        primary_key: &["owner_id", "conversation_id", "user_id"],
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
        rows: Sql::same(
            "members.rows",
            "select * from conversation_members order by owner_id, conversation_id, user_id",
        ),
    },
    Table {
        name: "messages",
        columns: &[
            required("owner_id", Uuid),
            required("conversation_id", Uuid),
            required("seq", Int),
            required("id", Uuid),
            optional("sender_id", Uuid),
            required("role", Text),
            required("content", Text),
            optional("parts", Json),
            optional("model", Text),
            optional("token_count", Int),
            required("used_documents", Json),
            required("metadata", Json),
            required("created_at", Time),
            optional("edited_at", Time),
        ],
        primary_key: &["owner_id", "conversation_id", "seq"],
        uniques: &[unique("uq_messages_id", &["owner_id", "id"])],
        foreign_keys: &[
            foreign_key(
                "fk_messages_conversation",
                &["owner_id", "conversation_id"],
                "conversations",
                &["owner_id", "id"],
                Cascade,
            ),
            foreign_key("fk_messages_sender_id", &["sender_id"], "users", &["id"], NoAction),
        ],
        checks: &[
            check("ck_messages_role", "role in ('system', 'developer', 'user', 'assistant', 'tool')"),
            check("ck_messages_seq", "seq > 0"),
            check("ck_messages_token_count", "token_count >= 0"),
        ],
        indexes: &[index("ix_messages_sender_id", &["sender_id"], Some("sender_id is not null"))],
        rows: Sql::same("messages.rows", "select * from messages order by owner_id, conversation_id, seq"),
    },
    Table {
        name: "responses",
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
        rows: Sql::same("responses.rows", "select * from responses order by owner_id, message_id"),
    },
    Table {
        name: "usage_daily",
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
        uniques: &[],
        foreign_keys: &[foreign_key("fk_usage_daily_owner_id", &["owner_id"], "users", &["id"], Cascade)],
        checks: &[],
        indexes: &[],
        rows: Sql::same("usage.rows", "select * from usage_daily order by owner_id, day, model"),
    },
    Table {
        name: "api_keys",
        columns: &[
            required("user_id", Uuid),
            required("id", Uuid),
            required("scope", Text),
            optional("name", Text),
            required("prefix", Text),
            required("key_hash", Bytes),
            required("created_at", Time),
            optional("last_used_at", Time),
            optional("expires_at", Time),
            optional("revoked_at", Time),
        ],
        primary_key: &["user_id", "id"],
        uniques: &[unique("uq_api_keys_key_hash", &["user_id", "key_hash"])],
        foreign_keys: &[foreign_key("fk_api_keys_user_id", &["user_id"], "users", &["id"], Cascade)],
        checks: &[check("ck_api_keys_scope", "scope in ('user', 'service')")],
        indexes: &[],
        rows: Sql::same("api_keys.rows", "select * from api_keys order by user_id, id"),
    },
    Table {
        name: "sessions",
        columns: &[
            required("user_id", Uuid),
            required("id", Uuid),
            required("access_jti", Uuid),
            optional("user_agent", Text),
            optional("ip", Text),
            required("created_at", Time),
            required("last_activity", Time),
            required("expires_at", Time),
            optional("revoked_at", Time),
            optional("revoke_reason", Text),
        ],
        primary_key: &["user_id", "id"],
        uniques: &[unique("uq_sessions_access_jti", &["user_id", "access_jti"])],
        foreign_keys: &[foreign_key("fk_sessions_user_id", &["user_id"], "users", &["id"], Cascade)],
        checks: &[check("ck_sessions_revoked", "(revoked_at is null) = (revoke_reason is null)")],
        indexes: &[
            index("ix_sessions_last_activity", &["user_id", "last_activity desc", "id desc"], None),
            index("ix_sessions_expires_at", &["expires_at"], None),
        ],
        rows: Sql::same("sessions.rows", "select * from sessions order by user_id, id"),
    },
    Table {
        name: "refresh_tokens",
        columns: &[
            required("user_id", Uuid),
            required("id", Uuid),
            required("session_id", Uuid),
            optional("parent_id", Uuid),
            required("counter", Int),
            required("token_hash", Bytes),
            required("created_at", Time),
            optional("rotated_at", Time),
            optional("confirmed_at", Time),
            required("expires_at", Time),
            optional("revoked_at", Time),
        ],
        primary_key: &["user_id", "id"],
        uniques: &[
            unique("uq_refresh_tokens_token_hash", &["user_id", "token_hash"]),
            unique("uq_refresh_tokens_counter", &["user_id", "session_id", "counter"]),
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
        rows: Sql::same("refresh_tokens.rows", "select * from refresh_tokens order by user_id, id"),
    },
    Table {
        name: "idempotency_keys",
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
        ],
        primary_key: &["owner_id", "caller_id", "key"],
        uniques: &[],
        foreign_keys: &[
            foreign_key("fk_idempotency_keys_owner_id", &["owner_id"], "users", &["id"], Cascade),
            foreign_key("fk_idempotency_keys_caller_id", &["caller_id"], "users", &["id"], Cascade),
        ],
        checks: &[],
        indexes: &[
            index("ix_idempotency_keys_caller_id", &["caller_id", "key"], None),
            index("ix_idempotency_keys_expires_at", &["expires_at"], None),
        ],
        rows: Sql::same(
            "idempotency_keys.rows",
            "select * from idempotency_keys order by owner_id, caller_id, key",
        ),
    },
];
