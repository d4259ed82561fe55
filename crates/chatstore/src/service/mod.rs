//! What may be done, and by whom.
//!
//! A conversation is looked for among the caller's own first, because those are found by their key;
//! only then by way of his memberships.

mod auth;
mod conversations;
mod keys;
mod members;
mod messages;
mod once;
mod usage;
mod users;

use chatstore_model::{Access, ConversationId, UserId};
use chatstore_sql::{StoreError, Tx, WriteTx};

use crate::error::{Error, ErrorKind};

pub(crate) use auth::Identity;
pub use auth::{Auth, LoginName, Origin, Tokens};
pub use conversations::Conversations;
pub use keys::{Keys, NewKey};
pub use members::Members;
pub use messages::Messages;
pub use once::{Once, OnceKey, Outcome};
pub use usage::Usage;
pub use users::{Acting, Users};

const NO_CONVERSATION: StoreError = StoreError::NotFound { entity: "conversation" };

/// What a transaction found out about the caller's rights.
enum Verdict<T> {
    Done(T),
    Forbidden(&'static str),
    /// The conversation is not at the revision that the caller expects.
    Changed,
    /// The idempotency key belongs to another request.
    KeyReused,
    /// What the first request with this idempotency key made does not exist any more.
    Gone,
}

impl<T> Verdict<T> {
    fn into_result(self) -> crate::Result<T> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Forbidden(reason) => Err(Error::rule(ErrorKind::Forbidden, reason)),
            Self::Changed => Err(Error::rule(ErrorKind::PreconditionFailed, CHANGED)),
            Self::KeyReused => Err(Error::rule(ErrorKind::KeyReused, KEY_REUSED)),
            Self::Gone => Err(Error::rule(ErrorKind::Conflict, GONE)),
        }
    }
}

const CHANGED: &str = "the conversation was changed since the revision that the request names";
const KEY_REUSED: &str = "the idempotency key was used for another request";
const GONE: &str = "what the first request with this idempotency key made does not exist any more";

const VIEWER: &str = "a viewer may read this conversation but not change it";
const OWNER_ONLY: &str = "only the conversation's owner may do this";

/// How the user reaches the conversation, or that there is none for him.
async fn reach<M>(
    tx: &mut Tx<'_, M>,
    user: UserId,
    conversation: ConversationId,
) -> Result<Access, StoreError> {
    tx.conversations().access(user, conversation).await?.ok_or(NO_CONVERSATION)
}

/// Whether the conversation is at the revision that the caller expects, if he expects one; it then stays
/// there until the transaction changes it.
async fn is_as_expected(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    conversation: ConversationId,
    expected: Option<i64>,
) -> Result<bool, StoreError> {
    match expected {
        None => Ok(true),
        Some(revision) => Ok(tx.conversations().lock(owner, conversation).await? == revision),
    }
}
