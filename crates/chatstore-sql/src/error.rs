//! What can go wrong, by meaning rather than by driver.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use chatstore_model::Invalid;

/// The driver's error behind ours; shared, because one failed commit fails every write in it.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    pub(crate) fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }
}

impl fmt::Display for Cause {
    /// The whole chain, outermost first: drivers keep the telling part in their source.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(formatter, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// An operation of the store that failed. Nothing of it was stored, except after
/// [`OutcomeUnknown`](Self::OutcomeUnknown).
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// What the operation is about does not exist, or belongs to somebody else.
    #[error("{entity} not found")]
    NotFound {
        /// The kind of thing.
        entity: &'static str,
    },
    /// A value that must be unique is taken.
    #[error("{entity} with this {field} already exists")]
    AlreadyExists {
        /// The kind of thing.
        entity: &'static str,
        /// The field whose value is taken.
        field: &'static str,
    },
    /// A row refers to another that does not exist (any more).
    #[error("{entity} refers to something that does not exist")]
    MissingParent {
        /// The kind of thing that refers.
        entity: &'static str,
    },
    /// The request breaks a limit.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The operation contradicts the present state; the text says how.
    #[error("{0}")]
    Refused(&'static str),
    /// Another transaction got in the way, again and again.
    #[error("too many conflicting writes; try again: {0}")]
    Conflict(Cause),
    /// The database cannot be reached, or no connection became free in time.
    #[error("the database is unavailable: {0}")]
    Unavailable(Cause),
    /// The database took too long.
    #[error("the database did not answer in time: {0}")]
    Timeout(Cause),
    /// The connection was lost while a write was being committed: it may or may not be stored.
    #[error("the connection was lost during a commit; whether it took effect is unknown: {0}")]
    OutcomeUnknown(Cause),
    /// The disk is full.
    #[error("the database's disk is full: {0}")]
    StorageFull(Cause),
    /// The database does not take writes.
    #[error("the database is read-only: {0}")]
    ReadOnly(Cause),
    /// What is stored is not what was written, or not of this schema.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
    /// Any other failure of the database, or a defect of ours.
    #[error("the database failed: {0}")]
    Backend(Cause),
}

impl StoreError {
    pub(crate) fn backend(message: impl Into<String>) -> Self {
        Self::Backend(Cause::new(message.into()))
    }

    /// Whether the same operation may succeed when it is simply tried again. Never after
    /// [`OutcomeUnknown`](Self::OutcomeUnknown): a blind repetition might do it twice.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Unavailable(_) | Self::Timeout(_))
    }
}

/// A database that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL names no database we know, or not in a form we understand.
    #[error("cannot use the database URL {url}: {reason}")]
    InvalidUrl {
        /// The URL without its password.
        url: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// Nobody answers there, or not in time.
    #[error("cannot reach the database at {place}: {cause}")]
    Unreachable {
        /// File, or host and port.
        place: String,
        /// The driver's words.
        cause: Cause,
    },
    /// The server or the file system refuses us.
    #[error("no permission to use the database at {place}: {cause}")]
    Denied {
        /// File, or host and port.
        place: String,
        /// The driver's words.
        cause: Cause,
    },
    /// The file cannot be made there.
    #[error("cannot make the database {place}: {reason}")]
    CannotCreate {
        /// The file.
        place: String,
        /// Why.
        reason: String,
    },
    /// The file is damaged, or something else than a chatstore database.
    #[error("{place} cannot be used as a chatstore database: {reason}")]
    Unusable {
        /// File, or host and port.
        place: String,
        /// Why.
        reason: String,
    },
}

/// One unique or foreign key whose violation callers are told about.
struct Constraint {
    name: &'static str,
    /// SQLite names the columns of a unique key instead of its name.
    columns: &'static str,
    entity: &'static str,
    field: &'static str,
}

const CONSTRAINTS: &[Constraint] = &[
    Constraint { name: "pk_users", columns: "users.id", entity: "user", field: "id" },
    Constraint {
        name: "uq_users_username_key",
        columns: "users.username_key",
        entity: "user",
        field: "username",
    },
    Constraint { name: "uq_users_email_key", columns: "users.email_key", entity: "user", field: "email" },
    Constraint {
        name: "pk_conversations",
        columns: "conversations.owner_id, conversations.id",
        entity: "conversation",
        field: "id",
    },
    Constraint {
        name: "uq_conversations_thread_id",
        columns: "conversations.owner_id, conversations.thread_id",
        entity: "conversation",
        field: "thread_id",
    },
    Constraint {
        name: "uq_messages_id",
        columns: "messages.owner_id, messages.id",
        entity: "message",
        field: "id",
    },
    Constraint {
        name: "pk_responses",
        columns: "responses.owner_id, responses.message_id",
        entity: "response",
        field: "message_id",
    },
    Constraint {
        name: "pk_api_keys",
        columns: "api_keys.user_id, api_keys.id",
        entity: "api_key",
        field: "id",
    },
    Constraint {
        name: "uq_api_keys_key_hash",
        columns: "api_keys.user_id, api_keys.key_hash",
        entity: "api_key",
        field: "key",
    },
    Constraint {
        name: "pk_sessions",
        columns: "sessions.user_id, sessions.id",
        entity: "session",
        field: "id",
    },
    Constraint {
        name: "uq_sessions_access_jti",
        columns: "sessions.user_id, sessions.access_jti",
        entity: "session",
        field: "access_jti",
    },
    Constraint {
        name: "pk_refresh_tokens",
        columns: "refresh_tokens.user_id, refresh_tokens.id",
        entity: "refresh_token",
        field: "id",
    },
    Constraint {
        name: "uq_refresh_tokens_token_hash",
        columns: "refresh_tokens.user_id, refresh_tokens.token_hash",
        entity: "refresh_token",
        field: "token",
    },
    Constraint {
        name: "uq_refresh_tokens_counter",
        columns: "refresh_tokens.user_id, refresh_tokens.session_id, refresh_tokens.counter",
        entity: "refresh_token",
        field: "counter",
    },
    Constraint {
        name: "pk_idempotency_keys",
        columns: "idempotency_keys.owner_id, idempotency_keys.caller_id, idempotency_keys.key",
        entity: "idempotency_key",
        field: "key",
    },
];

/// The meaning of a check that only the database can make, because two changes at once may each
/// leave what the other takes.
pub(crate) fn refused(check: &str) -> Option<StoreError> {
    (check == "ck_users_identity").then_some(StoreError::Refused("a user must keep a username or an email"))
}

pub(crate) fn taken(is_it: impl Fn(&str, &str) -> bool) -> Option<StoreError> {
    CONSTRAINTS
        .iter()
        .find(|constraint| is_it(constraint.name, constraint.columns))
        .map(|constraint| StoreError::AlreadyExists { entity: constraint.entity, field: constraint.field })
}
