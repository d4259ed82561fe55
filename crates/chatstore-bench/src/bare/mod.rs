//! What chatstore is measured against: the bare drivers, running the same statements.

pub(crate) mod pgbench;
pub(crate) mod postgres;
pub(crate) mod rows;
pub(crate) mod script;
pub(crate) mod sqlite;
pub(crate) mod sqlite_writes;

use chatstore_sql::Sql;

use crate::Failure;

/// The newest messages of a conversation.
pub(crate) const PAGE: &str = "messages.page_descending";

/// The most recent conversations of a user.
pub(crate) const LIST: &str = "conversations.all_by_activity_descending";

/// The store's own statement with this name.
///
/// # Errors
/// When the store has no such statement any more, so that a benchmark does not go on measuring
/// something else.
pub(crate) fn statement(name: &str) -> Result<Sql, Failure> {
    let found = chatstore_sql::statements().into_iter().find(|sql| sql.name() == name);
    found.ok_or_else(|| format!("the store has no statement {name}; name the one that took its place").into())
}
