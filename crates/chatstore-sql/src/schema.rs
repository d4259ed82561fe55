//! The declared schema: every table with its columns in order, their types and the primary key.
//!
//! Both databases are held to it by `tests/schema.rs`.

use crate::db::Sql;

/// The closed set of column types; their spelling in each dialect is in `docs/sql-dialect.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// A UUID.
    Uuid,
    /// Text, compared by bytes.
    Text,
    /// A truth value.
    Bool,
    /// A 64-bit integer.
    Int,
    /// Bytes.
    Bytes,
    /// JSON.
    Json,
    /// An instant.
    Time,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
}

/// A table.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
    /// The columns of its primary key, in order.
    pub primary_key: &'static [&'static str],
    /// All rows and columns, by primary key.
    pub(crate) rows: Sql,
}

const fn required(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: false }
}

const fn optional(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: true }
}

use ColumnType::{Bool, Bytes, Int, Json, Text, Time, Uuid};

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
        rows: Sql::same("api_keys.rows", "select * from api_keys order by user_id, id"),
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
        rows: Sql::same(
            "idempotency_keys.rows",
            "select * from idempotency_keys order by owner_id, caller_id, key",
        ),
    },
];
