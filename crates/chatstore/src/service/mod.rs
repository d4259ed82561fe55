//! What may be done, and by whom.
//!
//! A conversation is looked for among the caller's own first, because those are found by their key;
//! only then by way of the caller's memberships.
//!
//! A refusal is an error of the transaction that finds it, and undoes what the transaction did before.

mod all_conversations;
mod auth;
mod batches;
mod branches;
mod conflicts;
mod conversations;
mod copies;
mod deletions;
mod documents;
mod idempotency_key;
mod idempotent;
mod identities;
mod keys;
mod logs;
mod members;
mod message_stream;
mod messages;
mod operations;
mod references;
mod removals;
mod removed_messages;
mod replacements;
mod response_cache;
mod seed;
mod subtrees;
mod suffixes;
mod usage;
mod user_cache;
mod users;

use chatstore_model::{Access, ConversationId, ConversationRole, UserId};
use chatstore_sql::{Tx, Via, WriteTx};

use crate::error::{Error, Result};
use crate::user_scope::AsUser;

pub use all_conversations::AllConversations;
pub use auth::{Auth, ClientInfo, LoginName, OwnKeys, SessionCache, Tokens};
pub use batches::{AppendedBatch, Destination};
pub use conversations::Conversations;
pub use copies::{CopiedConversation, CopiedFrom};
pub use documents::Documents;
pub use idempotency_key::{IdempotencyKey, KeyRetention, Outcome};
pub use idempotent::Idempotent;
pub use keys::{KeyOptions, Keys, MAX_ROTATION_OVERLAP, NewKey, ROTATION_OVERLAP};
pub use logs::{EventLog, Logs};
pub use members::Members;
pub use message_stream::MessageStream;
pub use messages::Messages;
pub use operations::{Maintained, Operations};
pub use references::ReferencedDocuments;
pub use replacements::{ReplacedMessages, Unnamed};
pub use response_cache::{RequestHash, ResponseCache};
pub use seed::{SEED_USERS, Seeded};
pub use suffixes::ReplacedSuffix;
pub use usage::Usage;
pub use user_cache::UserCache;
pub use users::Users;

const VIEWER: &str = "a viewer may read this conversation but not change it";
const OWNER_ONLY: &str = "only the conversation's owner may do this";

/// The ways in which a user may reach what belongs to a conversation, in the order in which to try them.
const fn as_owner_or_member(user: UserId) -> [Via; 2] {
    [Via::Owner(user), Via::Member(user)]
}

impl AsUser<'_> {
    /// How the user may access the conversation, or that there is none.
    async fn access(self, conversation: ConversationId) -> Result<Access> {
        let user = self.user;
        self.store.read("access", async move |tx| access(tx, user, conversation).await).await
    }
}

/// How the user may access the conversation, or that there is none for this user.
async fn access<M>(tx: &mut Tx<'_, M>, user: UserId, conversation: ConversationId) -> Result<Access> {
    let access = tx.conversations().access(user, conversation).await?;
    access.ok_or_else(|| Error::not_found("conversation"))
}

/// As [`access`], for what only the owner may do.
async fn access_as_owner<M>(tx: &mut Tx<'_, M>, user: UserId, conversation: ConversationId) -> Result<()> {
    match access(tx, user, conversation).await?.role {
        ConversationRole::Owner => Ok(()),
        ConversationRole::Editor | ConversationRole::Viewer => Err(Error::forbidden(OWNER_ONLY)),
    }
}

/// Fails unless a user in this role may write.
fn check_writer(role: ConversationRole) -> Result<()> {
    if role.may_write() { Ok(()) } else { Err(Error::forbidden(VIEWER)) }
}

/// Fails unless the conversation is at the revision that the caller expects, if any; it then stays there
/// until the transaction changes it.
async fn check_revision(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    conversation: ConversationId,
    expected: Option<i64>,
) -> Result<()> {
    match is_at_revision(tx, owner, conversation, expected).await? {
        true => Ok(()),
        false => Err(Error::precondition_failed()),
    }
}

async fn is_at_revision(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    conversation: ConversationId,
    expected: Option<i64>,
) -> Result<bool> {
    match expected {
        None => Ok(true),
        Some(revision) => Ok(tx.conversations().lock(owner, conversation).await? == revision),
    }
}
