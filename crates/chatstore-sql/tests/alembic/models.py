"""The tables as a developer writes them down for SQLAlchemy who works beside chatstore: its usual types, nothing made
to fit."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    desc,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

Document = JSON().with_variant(JSONB(), "postgresql")
Time = DateTime(timezone=True)


def required(name, kind):
    return Column(name, kind, nullable=False)


def cascade(columns, parents, name):
    return ForeignKeyConstraint(columns, parents, name=name, ondelete="CASCADE")


def containment(name, column):
    return Index(name, column, postgresql_using="gin", postgresql_ops={column: "jsonb_path_ops"})


def partial(name, condition, *columns, unique=False):
    where = text(condition)
    return Index(name, *columns, unique=unique, postgresql_where=where, sqlite_where=where)


Table(
    "users",
    metadata,
    required("id", Uuid),
    Column("username", Text),
    Column("username_key", Text),
    Column("email", Text),
    Column("email_key", Text),
    Column("full_name", Text),
    Column("password_hash", Text),
    required("role", Text),
    required("is_active", Boolean),
    required("must_change_password", Boolean),
    required("metadata", Document),
    required("created_at", Time),
    required("updated_at", Time),
    Column("deleted_at", Time),
    Column("email_verified_at", Time),
    Column("external_namespace", Text),
    Column("external_id", Text),
    PrimaryKeyConstraint("id", name="pk_users"),
    UniqueConstraint("username_key", name="uq_users_username_key"),
    UniqueConstraint("external_namespace", "external_id", name="uq_users_external_id"),
    CheckConstraint("role in ('user', 'admin')", name="ck_users_role"),
    CheckConstraint(
        "username_key is not null or email_key is not null or external_id is not null or deleted_at is not null",
        name="ck_users_identity",
    ),
    CheckConstraint("(external_namespace is null) = (external_id is null)", name="ck_users_external_id"),
    Index("ix_users_created_at", "created_at", "id"),
    partial("ix_users_deleted", "deleted_at is not null", "id"),
    partial("ix_users_verified_email", "email_verified_at is not null", "email_key", unique=True),
    partial(
        "ix_users_claimed_email",
        "email_verified_at is null and email_key is not null",
        "email_key",
        unique=True,
    ),
    partial("ix_users_verified_password", "email_verified_at is not null and password_hash is not null", "id"),
    partial(
        "ix_users_claimed_password",
        "email_verified_at is null and email_key is not null and password_hash is not null",
        "id",
    ),
)

Table(
    "conversations",
    metadata,
    required("owner_id", Uuid),
    required("id", Uuid),
    Column("thread_id", Text),
    Column("title", Text),
    Column("default_model", Text),
    required("last_seq", BigInteger),
    required("message_count", BigInteger),
    Column("last_message", Text),
    Column("last_message_at", Time),
    required("revision", BigInteger),
    required("metadata", Document),
    required("created_at", Time),
    required("updated_at", Time),
    Column("archived_at", Time),
    Column("deleted_at", Time),
    Column("head_seq", BigInteger),
    PrimaryKeyConstraint("owner_id", "id", name="pk_conversations"),
    UniqueConstraint("owner_id", "thread_id", name="uq_conversations_thread_id"),
    cascade(["owner_id"], ["users.id"], "fk_conversations_owner_id"),
    CheckConstraint("message_count >= 0 and last_seq >= message_count", name="ck_conversations_counts"),
    partial("ix_conversations_updated_at", "archived_at is null", "owner_id", desc("updated_at"), desc("id")),
    partial("ix_conversations_created_at", "archived_at is null", "owner_id", desc("created_at"), desc("id")),
    partial(
        "ix_conversations_archived_updated_at", "archived_at is not null", "owner_id", desc("updated_at"), desc("id")
    ),
    partial(
        "ix_conversations_archived_created_at", "archived_at is not null", "owner_id", desc("created_at"), desc("id")
    ),
    partial("ix_conversations_deleted", "deleted_at is not null", "owner_id", "id"),
)

Table(
    "conversation_members",
    metadata,
    required("owner_id", Uuid),
    required("conversation_id", Uuid),
    required("user_id", Uuid),
    required("role", Text),
    required("joined_at", Time),
    PrimaryKeyConstraint("owner_id", "conversation_id", "user_id", name="pk_conversation_members"),
    cascade(
        ["owner_id", "conversation_id"],
        ["conversations.owner_id", "conversations.id"],
        "fk_conversation_members_conversation",
    ),
    cascade(["user_id"], ["users.id"], "fk_conversation_members_user_id"),
    CheckConstraint("role in ('editor', 'viewer')", name="ck_conversation_members_role"),
    CheckConstraint("user_id <> owner_id", name="ck_conversation_members_not_owner"),
    Index("ix_conversation_members_user_id", "user_id", "conversation_id"),
)

Table(
    "messages",
    metadata,
    required("owner_id", Uuid),
    required("conversation_id", Uuid),
    required("seq", BigInteger),
    required("id", Uuid),
    Column("sender_id", Uuid),
    required("role", Text),
    required("content", Text),
    Column("parts", Text),
    Column("model", Text),
    Column("token_count", BigInteger),
    required("used_documents", Document),
    required("metadata", Document),
    required("created_at", Time),
    Column("edited_at", Time),
    Column("format", Text),
    Column("external_id", Text),
    Column("parent_seq", BigInteger),
    PrimaryKeyConstraint("owner_id", "conversation_id", "seq", name="pk_messages"),
    UniqueConstraint("owner_id", "id", name="uq_messages_id"),
    cascade(
        ["owner_id", "conversation_id"],
        ["conversations.owner_id", "conversations.id"],
        "fk_messages_conversation",
    ),
    ForeignKeyConstraint(["sender_id"], ["users.id"], name="fk_messages_sender_id"),
    CheckConstraint("role in ('system', 'developer', 'user', 'assistant', 'tool')", name="ck_messages_role"),
    CheckConstraint("seq > 0", name="ck_messages_seq"),
    CheckConstraint("token_count >= 0", name="ck_messages_token_count"),
    partial("ix_messages_sender_id", "sender_id is not null", "sender_id"),
    partial("ix_messages_format", "format is not null", "owner_id", "conversation_id", "format", "seq"),
    partial(
        "ix_messages_external_id",
        "external_id is not null",
        "owner_id",
        "conversation_id",
        "external_id",
        unique=True,
    ),
    partial(
        "ix_messages_jump", "parent_seq <> seq - 1", "owner_id", "conversation_id", "seq", "parent_seq"
    ),
    partial(
        "ix_messages_parent_seq", "parent_seq is not null", "owner_id", "conversation_id", "parent_seq", "seq"
    ),
)

Table(
    "responses",
    metadata,
    required("owner_id", Uuid),
    required("message_id", Uuid),
    required("conversation_id", Uuid),
    required("model_used", Text),
    Column("tokens_prompt", BigInteger),
    Column("tokens_completion", BigInteger),
    Column("tokens_total", BigInteger),
    Column("tokens_cached", BigInteger),
    Column("completion_time_ms", BigInteger),
    Column("finish_reason", Text),
    required("from_cache", Boolean),
    required("created_at", Time),
    PrimaryKeyConstraint("owner_id", "message_id", name="pk_responses"),
    cascade(["owner_id", "message_id"], ["messages.owner_id", "messages.id"], "fk_responses_message"),
)

Table(
    "usage_daily",
    metadata,
    required("owner_id", Uuid),
    required("day", Time),
    required("model", Text),
    required("requests", BigInteger),
    required("cached_requests", BigInteger),
    required("tokens_prompt", BigInteger),
    required("tokens_completion", BigInteger),
    required("tokens_total", BigInteger),
    required("completion_time_ms_sum", BigInteger),
    required("cost_micros", BigInteger),
    PrimaryKeyConstraint("owner_id", "day", "model", name="pk_usage_daily"),
    cascade(["owner_id"], ["users.id"], "fk_usage_daily_owner_id"),
)

Table(
    "documents",
    metadata,
    required("owner_id", Uuid),
    required("id", Uuid),
    Column("title", Text),
    required("metadata", Document),
    required("revision", BigInteger),
    required("created_at", Time),
    required("updated_at", Time),
    required("content", Document),
    PrimaryKeyConstraint("owner_id", "id", name="pk_documents"),
    cascade(["owner_id"], ["users.id"], "fk_documents_owner_id"),
    Index("ix_documents_created_at", "owner_id", desc("created_at"), desc("id")),
    Index("ix_documents_title", "owner_id", "title", desc("created_at"), desc("id")),
    containment("ix_documents_content", "content"),
    containment("ix_documents_metadata", "metadata"),
)

Table(
    "api_keys",
    metadata,
    required("user_id", Uuid),
    required("id", Uuid),
    required("scope", Text),
    Column("name", Text),
    required("prefix", Text),
    required("key_hash", LargeBinary),
    required("created_at", Time),
    Column("last_used_at", Time),
    Column("expires_at", Time),
    Column("revoked_at", Time),
    Column("rights", Document),
    Column("previous_expires_at", Time),
    Column("previous_key_hash", LargeBinary),
    Column("password_confirmed_at", Time),
    PrimaryKeyConstraint("user_id", "id", name="pk_api_keys"),
    UniqueConstraint("user_id", "key_hash", name="uq_api_keys_key_hash"),
    partial(
        "ix_api_keys_previous_key_hash",
        "previous_key_hash is not null",
        "user_id",
        "previous_key_hash",
        unique=True,
    ),
    CheckConstraint("(previous_key_hash is null) = (previous_expires_at is null)", name="ck_api_keys_previous"),
    cascade(["user_id"], ["users.id"], "fk_api_keys_user_id"),
    CheckConstraint("scope in ('user', 'service')", name="ck_api_keys_scope"),
)

Table(
    "sessions",
    metadata,
    required("user_id", Uuid),
    required("id", Uuid),
    required("access_jti", Uuid),
    Column("user_agent", Text),
    Column("ip", Text),
    required("created_at", Time),
    required("last_activity", Time),
    required("expires_at", Time),
    Column("revoked_at", Time),
    Column("revoke_reason", Text),
    Column("used_counter", BigInteger),
    Column("password_confirmed_at", Time),
    PrimaryKeyConstraint("user_id", "id", name="pk_sessions"),
    UniqueConstraint("user_id", "access_jti", name="uq_sessions_access_jti"),
    cascade(["user_id"], ["users.id"], "fk_sessions_user_id"),
    CheckConstraint("(revoked_at is null) = (revoke_reason is null)", name="ck_sessions_revoked"),
    Index("ix_sessions_last_activity", "user_id", desc("last_activity"), desc("id")),
    Index("ix_sessions_expires_at", "expires_at"),
)

Table(
    "refresh_tokens",
    metadata,
    required("user_id", Uuid),
    required("id", Uuid),
    required("session_id", Uuid),
    Column("parent_id", Uuid),
    required("counter", BigInteger),
    required("token_hash", LargeBinary),
    required("created_at", Time),
    Column("rotated_at", Time),
    Column("confirmed_at", Time),
    required("expires_at", Time),
    Column("revoked_at", Time),
    PrimaryKeyConstraint("user_id", "id", name="pk_refresh_tokens"),
    UniqueConstraint("user_id", "token_hash", name="uq_refresh_tokens_token_hash"),
    UniqueConstraint("user_id", "session_id", "counter", name="uq_refresh_tokens_counter"),
    cascade(["user_id", "session_id"], ["sessions.user_id", "sessions.id"], "fk_refresh_tokens_session"),
    CheckConstraint("counter >= 0", name="ck_refresh_tokens_counter"),
    Index("ix_refresh_tokens_expires_at", "expires_at"),
)

Table(
    "idempotency_keys",
    metadata,
    required("owner_id", Uuid),
    required("caller_id", Uuid),
    required("key", Text),
    required("operation", Text),
    required("request_sha256", LargeBinary),
    required("status", BigInteger),
    required("result", Document),
    required("created_at", Time),
    required("expires_at", Time),
    Column("conversation_id", Uuid),
    PrimaryKeyConstraint("owner_id", "caller_id", "key", name="pk_idempotency_keys"),
    cascade(["owner_id"], ["users.id"], "fk_idempotency_keys_owner_id"),
    cascade(["caller_id"], ["users.id"], "fk_idempotency_keys_caller_id"),
    cascade(
        ["owner_id", "conversation_id"],
        ["conversations.owner_id", "conversations.id"],
        "fk_idempotency_keys_conversation",
    ),
    Index("ix_idempotency_keys_caller_id", "caller_id", "key"),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
    partial("ix_idempotency_keys_conversation", "conversation_id is not null", "owner_id", "conversation_id"),
)

Table(
    "identities",
    metadata,
    required("user_id", Uuid),
    required("issuer", Text),
    required("subject", Text),
    required("created_at", Time),
    Column("token_issued_at", Time),
    Column("revoked_before", Time),
    PrimaryKeyConstraint("user_id", "issuer", "subject", name="pk_identities"),
    UniqueConstraint("issuer", "subject", name="uq_identities_subject"),
    cascade(["user_id"], ["users.id"], "fk_identities_user_id"),
)
Table(
    "logs",
    metadata,
    required("user_id", Uuid),
    required("id", Uuid),
    required("at", Time),
    required("level", Text),
    required("event", Text),
    Column("conversation_id", Uuid),
    Column("request_id", Text),
    Column("actor_id", Uuid),
    Column("key_id", Uuid),
    Column("acting_for_id", Uuid),
    required("data", Document),
    PrimaryKeyConstraint("user_id", "id", name="pk_logs"),
    cascade(["user_id"], ["users.id"], "fk_logs_user_id"),
    CheckConstraint("level in ('debug', 'info', 'warn', 'error')", name="ck_logs_level"),
    Index("ix_logs_id", "id"),
    partial("ix_logs_level", "level <> 'info'", "level", "id"),
    Index("ix_logs_event", "event", "id"),
    partial("ix_logs_actor_id", "actor_id <> user_id", "actor_id"),
    partial("ix_logs_acting_for_id", "acting_for_id <> user_id", "acting_for_id"),
)
