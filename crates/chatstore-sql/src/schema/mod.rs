//! The declared schema: every table with its columns, constraints and indexes, one file per table.
//!
//! New revisions are generated from it ([`declared`]), and both databases are held to it. Statements
//! take their lists of columns from it, errors the names of what they are about. New columns stand at
//! the end of their table, because that is where databases add them.

mod api_keys;
mod columns;
mod conversation_members;
pub(crate) mod conversations;
mod documents;
mod idempotency_keys;
mod identities;
mod logs;
mod messages;
mod parts;
mod refresh_tokens;
mod responses;
mod sessions;
mod text;
mod usage_daily;
mod users;

use chatstore_migrate::model;
pub use chatstore_migrate::model::ColumnType;

pub(crate) use api_keys::API_KEYS;
pub(crate) use columns::Columns;
pub(crate) use conversation_members::CONVERSATION_MEMBERS;
pub(crate) use conversations::CONVERSATIONS;
pub(crate) use documents::DOCUMENTS;
pub(crate) use idempotency_keys::IDEMPOTENCY_KEYS;
pub(crate) use identities::IDENTITIES;
pub(crate) use logs::LOGS;
pub(crate) use messages::MESSAGES;
pub use parts::{Check, Column, ForeignKey, Index, IndexPurpose, Table, Unique};
pub(crate) use refresh_tokens::REFRESH_TOKENS;
pub(crate) use responses::RESPONSES;
pub(crate) use sessions::SESSIONS;
pub(crate) use text::Text;
pub(crate) use usage_daily::USAGE_DAILY;
pub(crate) use users::{KEEPS_IDENTITY, USERS};

/// The declared schema as the migration engine takes it.
#[must_use]
pub fn declared() -> model::Schema {
    model::Schema { tables: TABLES.iter().map(Table::model).collect() }
}

/// Every table, parents before children.
pub const TABLES: &[Table] = &[
    USERS,
    CONVERSATIONS,
    CONVERSATION_MEMBERS,
    MESSAGES,
    RESPONSES,
    USAGE_DAILY,
    DOCUMENTS,
    API_KEYS,
    SESSIONS,
    REFRESH_TOKENS,
    IDEMPOTENCY_KEYS,
    IDENTITIES,
    LOGS,
];
