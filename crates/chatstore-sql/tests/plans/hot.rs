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

/// The mark of a user, found by the key of users or by the index of marks.
pub const MARK: &str = "mark";

/// A statement for a member, who may be one of several conversations with the same id.
const fn shared(name: &'static str, indexes: &'static [&'static str]) -> Hot {
    Hot { name, indexes, sorts: &["m.joined_at, m.owner_id"], sorts_on_sqlite: true }
}

/// Messages for a member: once for the head of their conversation, once for themselves.
const fn read_shared(name: &'static str, indexes: &'static [&'static str]) -> Hot {
    let sorts = &["m.joined_at, m.owner_id", "m_1.joined_at, m_1.owner_id"];
    Hot { name, indexes, sorts, sorts_on_sqlite: true }
}

pub const HOT: &[Hot] = &[
    hot("messages.append_own", &[MARK, "pk_conversations", "pk_messages"]),
    shared("messages.append_shared", &[MEMBER, MARK, "pk_conversations", "pk_messages"]),
    hot("conversations.bump_own", &[MARK, "pk_conversations"]),
    shared("conversations.bump_shared", &[MEMBER, MARK, "pk_conversations"]),
    hot("conversations.bump_by_many", &[MARK, "pk_conversations"]),
    hot("conversations.bump_for_change", &[MARK, "pk_conversations"]),
    hot("messages.page_ascending", &[MARK, "pk_conversations", "pk_messages"]),
    hot("messages.page_descending", &[MARK, "pk_conversations", "pk_messages"]),
    read_shared("messages.page_ascending_shared", &[MEMBER, MARK, "pk_conversations", "pk_messages"]),
    read_shared("messages.page_descending_shared", &[MEMBER, MARK, "pk_conversations", "pk_messages"]),
    hot("messages.get", &[MARK, "pk_conversations", "uq_messages_id"]),
    read_shared("messages.get_shared", &[MEMBER, MARK, "pk_conversations", "uq_messages_id"]),
    hot("messages.by_seq", &[MARK, "pk_conversations", "pk_messages"]),
    hot("conversations.get", &[MARK, "pk_conversations"]),
    Hot {
        name: "conversations.get_shared",
        indexes: &[MEMBER, MARK, "pk_conversations"],
        sorts: &["m.joined_at, c.owner_id"],
        sorts_on_sqlite: true,
    },
    hot("conversations.by_thread", &[MARK, "uq_conversations_thread_id"]),
    Hot {
        name: "conversations.access",
        indexes: &[MEMBER, MARK, "pk_conversations"],
        sorts: &["(0), c.created_at, c.owner_id"],
        sorts_on_sqlite: true,
    },
    hot("conversations.owned_by_activity_descending", &["ix_conversations_updated_at", MARK]),
    hot("conversations.owned_by_activity_ascending", &["ix_conversations_updated_at", MARK]),
    hot("conversations.owned_by_creation_descending", &["ix_conversations_created_at", MARK]),
    hot("conversations.owned_by_creation_ascending", &["ix_conversations_created_at", MARK]),
    hot(
        "conversations.archived_owned_by_activity_descending",
        &["ix_conversations_archived_updated_at", MARK],
    ),
    hot(
        "conversations.archived_owned_by_creation_descending",
        &["ix_conversations_archived_created_at", MARK],
    ),
    hot("conversations.of_threads", &[MARK, "uq_conversations_thread_id"]),
    hot("conversations.archived_of_threads", &[MARK, "uq_conversations_thread_id"]),
    hot("conversations.every_of_threads", &[MARK, "uq_conversations_thread_id"]),
    hot("conversations.count_of_threads", &[MARK, "uq_conversations_thread_id"]),
    hot("conversations.threads_to_delete", &[MARK, "uq_conversations_thread_id"]),
    hot("documents.get", &[MARK, "pk_documents"]),
    hot("documents.page_descending", &["ix_documents_created_at", MARK]),
    hot("documents.page_ascending", &["ix_documents_created_at", MARK]),
    hot("documents.update", &[MARK, "pk_documents"]),
    hot("messages.page_ascending_of_format", &["ix_messages_format", MARK, "pk_conversations"]),
    hot("messages.page_descending_of_format", &["ix_messages_format", MARK, "pk_conversations"]),
    hot("messages.page_ascending_compared", &[MARK, "pk_conversations", "pk_messages"]),
    hot("messages.page_descending_compared", &[MARK, "pk_conversations", "pk_messages"]),
    hot("logs.get", &[MARK, "pk_logs"]),
    hot("logs.of_user_descending", &[MARK, "pk_logs"]),
    hot("logs.of_user_ascending", &[MARK, "pk_logs"]),
    hot("logs.every_descending", &["ix_logs_id", MARK]),
    hot("logs.every_ascending", &["ix_logs_id", MARK]),
    hot("logs.named_descending", &["ix_logs_event", MARK]),
    hot("logs.at_level_descending", &["ix_logs_level", MARK]),
    hot("replies.record", &[MARK, "pk_conversations", "pk_usage_daily"]),
    hot("messages.newest_user_model", &[MARK, "pk_messages"]),
    hot("messages.nearest_below", &["pk_messages"]),
    hot("responses.get", &[MARK, "pk_conversations", "pk_responses"]),
    hot("api_keys.by_hash", &["ix_api_keys_previous_key_hash", "pk_users", "uq_api_keys_key_hash"]),
    hot("sessions.state", &["pk_sessions", "pk_users"]),
    hot("sessions.by_access_jti", &[MARK, "uq_sessions_access_jti"]),
    hot("sessions.page", &["ix_sessions_last_activity", MARK]),
    hot("sessions.end", &[MARK, "pk_sessions"]),
    hot("refresh_tokens.lock_session", &[MARK, "pk_sessions"]),
    hot("refresh_tokens.find", &[MARK, "uq_refresh_tokens_token_hash"]),
    hot("refresh_tokens.at", &[MARK, "uq_refresh_tokens_counter"]),
    hot("refresh_tokens.mark_rotated", &["pk_refresh_tokens"]),
    hot("refresh_tokens.carry_on", &["pk_sessions"]),
    hot("refresh_tokens.revoke", &["uq_refresh_tokens_counter"]),
    hot("identities.state", &["pk_users", "uq_identities_subject"]),
    hot("identities.note_token", &[MARK, "uq_identities_subject"]),
    hot("passwords.by_username", &["uq_users_username_key"]),
    hot("passwords.by_email", &["ix_users_claimed_email", "ix_users_verified_email"]),
    hot("passwords.lock", &["pk_users"]),
    hot("users.get", &["pk_users"]),
    hot("users.by_username", &["uq_users_username_key"]),
    hot("users.by_email", &["ix_users_verified_email"]),
    hot("users.by_claimed_email", &["ix_users_claimed_email"]),
    hot("users.by_external_id", &["uq_users_external_id"]),
    hot("users.page_ascending", &["ix_users_created_at"]),
    hot("users.page_descending", &["ix_users_created_at"]),
    Hot {
        name: "users.sent_elsewhere",
        indexes: &["ix_messages_sender_id"],
        sorts: &["owner_id, conversation_id"],
        sorts_on_sqlite: false,
    },
    Hot {
        name: "deletions.end_of_messages",
        indexes: &["pk_messages"],
        sorts: &["messages.conversation_id DESC, messages.seq DESC"],
        sorts_on_sqlite: true,
    },
    hot("deletions.sent", &["ix_messages_sender_id"]),
    Hot {
        name: "idempotency_keys.find",
        indexes: &["ix_idempotency_keys_caller_id", MARK, "pk_conversations"],
        sorts: &["idempotency_keys.created_at"],
        sorts_on_sqlite: true,
    },
];

impl Hot {
    pub fn statement(&self) -> Sql {
        statements().into_iter().find(|statement| statement.name() == self.name).expect(self.name)
    }

    /// Whether PostgreSQL plans it for the values of each call, of which a plan without values says nothing.
    pub fn is_planned_for_values(&self) -> bool {
        self.name.starts_with("logs.") && self.name != "logs.get"
    }

    /// The name of an index, or of the one that finds the same single row at the same cost.
    pub fn named<'i>(&self, index: &'i str) -> &'i str {
        match (self.name, index) {
            ("logs.get", "ix_logs_id") => "pk_logs",
            (_, index) => index,
        }
    }

    /// Whether every row that is read must be one that is asked for.
    pub fn is_list(&self) -> bool {
        let lists = ["messages.page_", "conversations.owned_", "conversations.archived_owned_"];
        lists.iter().any(|prefix| self.name.starts_with(prefix)) && !self.name.ends_with("_compared")
    }
}
