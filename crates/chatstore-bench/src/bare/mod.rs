//! What chatstore is measured against: the bare drivers, running the same statements.

pub(crate) mod pgbench;
pub(crate) mod postgres;
pub(crate) mod rows;
pub(crate) mod script;
pub(crate) mod sqlite;
pub(crate) mod sqlite_writes;

/// The newest messages of a conversation.
pub(crate) const PAGE: &str = "messages.page_descending";

/// The most recent conversations of a user.
pub(crate) const LIST: &str = "conversations.all_by_activity_descending";
