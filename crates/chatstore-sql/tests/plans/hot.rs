//! Which statements are hot, and what their plans must be like.

use chatstore_sql::{Sql, statements};

pub struct Hot {
    pub name: &'static str,
    /// The indexes it uses, the keys of tables among them, in alphabetical order.
    pub indexes: &'static [&'static str],
    /// By what PostgreSQL may sort, when the rows do not come in order by themselves.
    pub sorts: &'static [&'static str],
    /// Whether SQLite may sort.
    pub sorts_on_sqlite: bool,
}

/// A statement that sorts nothing.
const fn hot(name: &'static str, indexes: &'static [&'static str]) -> Hot {
    Hot { name, indexes, sorts: &[], sorts_on_sqlite: false }
}

const MEMBER: &str = "ix_conversation_members_user_id";

/// A statement for a member, who may be one of several conversations with the same id.
const fn shared(name: &'static str, indexes: &'static [&'static str]) -> Hot {
    Hot { name, indexes, sorts: &["m.owner_id"], sorts_on_sqlite: false }
}

/// A page for a member: once for its default model, once for its messages.
const fn read_shared(name: &'static str, indexes: &'static [&'static str]) -> Hot {
    Hot { name, indexes, sorts: &["m.owner_id", "m_1.owner_id"], sorts_on_sqlite: false }
}

pub const HOT: &[Hot] = &[
    hot("messages.append_own", &["pk_conversations", "pk_messages"]),
    shared("messages.append_shared", &[MEMBER, "pk_conversations", "pk_messages"]),
    hot("conversations.bump_own", &["pk_conversations"]),
    shared("conversations.bump_shared", &[MEMBER, "pk_conversations"]),
    hot("conversations.bump_by_many", &["pk_conversations"]),
    hot("conversations.bump_for_change", &["pk_conversations"]),
    hot("messages.page_ascending", &["pk_conversations", "pk_messages"]),
    hot("messages.page_descending", &["pk_conversations", "pk_messages"]),
    read_shared("messages.page_ascending_shared", &[MEMBER, "pk_conversations", "pk_messages"]),
    read_shared("messages.page_descending_shared", &[MEMBER, "pk_conversations", "pk_messages"]),
    hot("messages.get", &["pk_conversations", "uq_messages_id"]),
    read_shared("messages.get_shared", &[MEMBER, "pk_conversations", "uq_messages_id"]),
    hot("messages.by_seq", &["pk_conversations", "pk_messages"]),
    hot("conversations.get", &["pk_conversations"]),
    Hot { sorts: &["c.owner_id"], ..shared("conversations.get_shared", &[MEMBER, "pk_conversations"]) },
    hot("conversations.by_thread", &["uq_conversations_thread_id"]),
    Hot {
        name: "conversations.access",
        indexes: &[MEMBER, "pk_conversations"],
        sorts: &["(0), conversations.owner_id"],
        sorts_on_sqlite: true,
    },
    hot("conversations.owned_by_activity_descending", &["ix_conversations_updated_at"]),
    hot("conversations.owned_by_activity_ascending", &["ix_conversations_updated_at"]),
    hot("conversations.owned_by_creation_descending", &["ix_conversations_created_at"]),
    hot("conversations.owned_by_creation_ascending", &["ix_conversations_created_at"]),
    hot("conversations.archived_owned_by_activity_descending", &["ix_conversations_archived_updated_at"]),
    hot("conversations.archived_owned_by_creation_descending", &["ix_conversations_archived_created_at"]),
    hot("replies.record", &["pk_conversations", "pk_messages"]),
    hot("messages.newest_user_model", &["pk_messages"]),
    hot("responses.get", &["pk_responses"]),
    hot("api_keys.by_hash", &["pk_users", "uq_api_keys_key_hash"]),
    hot("sessions.state", &["pk_sessions", "pk_users"]),
    hot("sessions.by_access_jti", &["uq_sessions_access_jti"]),
    hot("sessions.page", &["ix_sessions_last_activity"]),
    hot("sessions.end", &["pk_sessions"]),
    hot("refresh_tokens.lock_session", &["pk_sessions"]),
    hot("refresh_tokens.find", &["uq_refresh_tokens_token_hash"]),
    hot("refresh_tokens.at", &["uq_refresh_tokens_counter"]),
    hot("refresh_tokens.mark_rotated", &["pk_refresh_tokens"]),
    hot("refresh_tokens.carry_on", &["pk_sessions"]),
    hot("refresh_tokens.revoke", &["uq_refresh_tokens_counter"]),
    hot("passwords.by_username", &["uq_users_username_key"]),
    hot("passwords.by_email", &["uq_users_email_key"]),
    hot("passwords.lock", &["pk_users"]),
    hot("users.get", &["pk_users"]),
    hot("users.by_username", &["uq_users_username_key"]),
    hot("users.by_email", &["uq_users_email_key"]),
    hot("users.page_ascending", &["ix_users_created_at"]),
    hot("users.page_descending", &["ix_users_created_at"]),
    Hot {
        name: "users.sent_elsewhere",
        indexes: &["ix_messages_sender_id"],
        sorts: &["owner_id, conversation_id"],
        sorts_on_sqlite: false,
    },
    Hot {
        name: "idempotency_keys.find",
        indexes: &["ix_idempotency_keys_caller_id"],
        sorts: &["created_at"],
        sorts_on_sqlite: true,
    },
];

impl Hot {
    pub fn statement(&self) -> Sql {
        statements().into_iter().find(|statement| statement.name() == self.name).expect(self.name)
    }

    /// Whether every row that is read must be one that is asked for.
    pub fn is_list(&self) -> bool {
        ["messages.page_", "conversations.owned_", "conversations.archived_owned_"]
            .iter()
            .any(|prefix| self.name.starts_with(prefix))
    }
}
