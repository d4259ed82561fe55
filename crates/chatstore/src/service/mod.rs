//! What may be done, and by whom.
//!
//! A conversation is looked for among the caller's own first, because those are found by their key;
//! only then by way of his memberships.

mod conversations;
mod keys;
mod members;
mod messages;
mod usage;
mod users;

use chatstore_model::{Access, ConversationId, UserId};
use chatstore_sql::{StoreError, Tx};

pub use conversations::Conversations;
pub use keys::{Keys, NewKey};
pub use members::Members;
pub use messages::Messages;
pub use usage::Usage;
pub use users::Users;

const NO_CONVERSATION: StoreError = StoreError::NotFound { entity: "conversation" };

/// What a transaction found out about the caller's rights.
enum Verdict<T> {
    Done(T),
    Forbidden(&'static str),
}

impl<T> Verdict<T> {
    fn into_result(self) -> crate::Result<T> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Forbidden(reason) => Err(crate::Error::forbidden(reason)),
        }
    }
}

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
