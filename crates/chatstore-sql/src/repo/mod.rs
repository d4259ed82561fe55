//! Repositories: a file or folder per entity, with its statements, its rows and its accessor.

/// Sets a time that does not go back.
macro_rules! forward {
    ($column:literal, $at:literal) => {
        concat!($column, " = case when ", $column, " > ", $at, " then ", $column, " else ", $at, " end")
    };
}

/// Defines a repository and how a transaction lends it.
macro_rules! repository {
    ($(#[$about:meta])+ $name:ident, $accessor:ident) => {
        $(#[$about])+
        #[derive(Debug)]
        pub struct $name<'t, 'c, M>(&'t mut $crate::tx::Tx<'c, M>);

        impl<'c, M> $crate::tx::Tx<'c, M> {
            $(#[$about])+
            pub const fn $accessor(&mut self) -> $name<'_, 'c, M> {
                $name(self)
            }
        }
    };
}

mod api_keys;
mod conversations;
mod copies;
mod deletions;
mod documents;
mod idempotency_keys;
mod identities;
mod imports;
mod live;
mod logs;
mod members;
mod messages;
mod notifications;
mod passwords;
mod refresh_tokens;
mod responses;
mod sessions;
mod statistics;
mod usage;
mod users;

use chatstore_model::{CanonicalJson, UserId, Validator};
use uuid::Uuid;

use crate::db::Sql;
use crate::error::StoreError;

pub use api_keys::{ApiKeys, FoundApiKey, NewSecret};
pub use conversations::{ConversationList, Conversations, DeletedThreads, Owners};
pub use copies::{CopiedMessages, Copies, CopyPlan, CopyProgress};
pub use deletions::{Deletions, MarkedCounts, Piece, PiecePosition};
pub use documents::{DocumentList, Documents, FoundDocuments};
pub use idempotency_keys::IdempotencyKeys;
pub use identities::Identities;
pub use imports::{Completion, ImportedRows, Imports};
pub use logs::{LogActor, LogList, LogOwner, Logs};
pub use members::Members;
pub use messages::{
    Family, ImportedResponse, Messages, PathBounds, PathStart, PresentMessage, Relative, RemovedPiece,
};
pub use passwords::Passwords;
pub use refresh_tokens::{Presented, RefreshTokens, Rotation};
pub use responses::Responses;
pub use sessions::Sessions;
pub use statistics::{Counts, Statistics, TableDigest};
pub use usage::Usage;
pub use users::Users;

/// As what a user has access to a conversation. The owner is tried first: rows are found by the
/// owner's key, and for a member by way of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// As its owner.
    Owner(UserId),
    /// As a member; for changes, as an editor.
    Member(UserId),
}

impl Via {
    /// The user.
    #[must_use]
    pub const fn user(self) -> UserId {
        match self {
            Self::Owner(user) | Self::Member(user) => user,
        }
    }

    /// The statement for the owner or the one for a member.
    const fn statement(self, owner: &'static Sql, member: &'static Sql) -> &'static Sql {
        match self {
            Self::Owner(_) => owner,
            Self::Member(_) => member,
        }
    }
}

/// A list as one parameter of a statement.
fn json_list(values: serde_json::Value) -> Result<CanonicalJson, StoreError> {
    CanonicalJson::new(values).map_err(|error| StoreError::backend(error.to_string()))
}

/// Ids as one parameter of a statement: a list of the text that both databases read.
fn list_of(ids: impl Iterator<Item = Uuid>) -> Result<CanonicalJson, StoreError> {
    let ids = ids.map(|id| id.simple().to_string().into()).collect();
    json_list(serde_json::Value::Array(ids))
}

/// Owners, each with the id or text of something that may be theirs, as one parameter of a statement.
fn pairs_of(pairs: impl Iterator<Item = (UserId, String)>) -> Result<CanonicalJson, StoreError> {
    let pairs = pairs.map(|(owner, of_owner)| vec![owner.uuid().simple().to_string(), of_owner].into());
    json_list(serde_json::Value::Array(pairs.collect()))
}

/// Refuses NUL in a text to look for: PostgreSQL would fail on it where SQLite finds nothing.
fn refuse_nul(field: &str, text: &str) -> Result<(), StoreError> {
    let mut validator = Validator::default();
    validator.no_nul(field, text);
    Ok(validator.finish()?)
}

pub(crate) fn statements() -> Vec<Sql> {
    let of_one_file = [
        api_keys::STATEMENTS,
        idempotency_keys::STATEMENTS,
        identities::STATEMENTS,
        members::STATEMENTS,
        notifications::STATEMENTS,
        passwords::STATEMENTS,
        refresh_tokens::STATEMENTS,
        responses::STATEMENTS,
        sessions::STATEMENTS,
        statistics::STATEMENTS,
        &statistics::ROWS,
        usage::STATEMENTS,
    ];
    let folders = [
        &of_one_file,
        conversations::STATEMENTS,
        copies::STATEMENTS,
        deletions::STATEMENTS,
        documents::STATEMENTS,
        logs::STATEMENTS,
        messages::STATEMENTS,
        users::STATEMENTS,
    ];
    folders.concat().concat()
}
