//! Batches: rows that are decided about, and written, in one transaction.
//!
//! What is stored is looked up, what is missing is decided, and the decision is applied. In a dry run applying
//! remembers it instead.

mod chunk;
mod conversations;
mod documents;
mod messages;
mod users;

use chatstore_model::{
    CanonicalJson, ConversationId, MemberRole, NewConversation, NewDocument, NewMessage, NewUser, Timestamp,
    UserId, UserPatch,
};
use chatstore_sql::{Completion, ImportedResponse, Marked, ReadOnly, ReadWrite, StoreError, Tx};

use super::dry_run::BatchState;

pub(crate) use conversations::{find_conversation, find_described, find_thread, look_up_described};

pub(super) use chunk::{ChunkBatch, ChunkEnd, ConversationChunk};
pub(super) use documents::DocumentBatch;
pub(super) use users::UserBatch;

/// What comes of work in a transaction.
pub(crate) type StoreResult<T> = Result<T, StoreError>;

/// Rows that are decided about in one transaction.
pub(crate) trait Batch: Send + Sync + 'static {
    /// The transaction's name in logs and metrics.
    const NAME: &'static str;
    /// What is known after it, beside the report of the rows.
    type Outcome: Send + 'static;

    /// Decides about the rows, applies it and counts them. It may run again after a conflict.
    async fn decide<M: Mode>(&self, tx: &mut Tx<'_, M>, state: &mut BatchState)
    -> StoreResult<Self::Outcome>;

    /// The outcome with the state after it.
    async fn run<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        mut state: BatchState,
    ) -> StoreResult<(Self::Outcome, BatchState)> {
        let outcome = self.decide(tx, &mut state).await?;
        Ok((outcome, state))
    }
}

/// What was deleted, and what to do about it.
pub(crate) const DELETED: &str = "it was deleted in the store";
pub(crate) const LEFT_DELETED: &str = "left out; --restore-deleted imports it again";

/// A change that an import makes.
pub(crate) enum Write<'w> {
    User(&'w NewUser),
    /// The metadata of a stored user.
    UserMetadata(UserId, CanonicalJson),
    /// With the key of the row in the source.
    Conversation(UserId, &'w NewConversation, &'w str),
    /// An editor, and since when.
    Member(UserId, ConversationId, UserId, Option<Timestamp>),
    /// With who wrote each, if not the owner.
    Messages(UserId, ConversationId, &'w [Option<UserId>], &'w [NewMessage]),
    /// Messages of a conversation that is imported in pieces.
    Piece {
        owner: UserId,
        conversation: ConversationId,
        /// The number of the message before.
        after: i64,
        messages: &'w [NewMessage],
        /// Of the last piece.
        completes: Option<Completion>,
    },
    /// The conversations and messages that wait, all together.
    Waiting,
    Responses(&'w [ImportedResponse]),
    Document(UserId, &'w NewDocument),
}

/// Whether changes are written.
pub(crate) trait Mode: Sized + 'static {
    /// Whether changes are only remembered.
    const IS_DRY: bool;

    async fn apply(tx: &mut Tx<'_, Self>, state: &mut BatchState, write: Write<'_>) -> StoreResult<()>;
}

/// A dry run.
impl Mode for ReadOnly {
    const IS_DRY: bool = true;

    async fn apply(tx: &mut Tx<'_, Self>, state: &mut BatchState, write: Write<'_>) -> StoreResult<()> {
        refuse_deleted(tx, state, &write).await?;
        let added = &mut state.now;
        match write {
            Write::User(new) => {
                added.users.extend(new.id);
                added.usernames.extend(new.username.as_ref().map(|name| name.key().to_owned()));
                added.emails.extend(new.id.and_then(|id| {
                    Some(((new.email.as_ref()?.key().to_owned(), new.is_email_verified), id))
                }));
            }
            Write::Conversation(owner, new, key) => {
                added.conversations.extend(new.id.map(|id| ((owner, id), key.to_owned())));
            }
            Write::Messages(owner, _, _, new) => {
                added.messages.extend(new.iter().filter_map(|message| Some((owner, message.id?))));
            }
            Write::Document(owner, new) => {
                added.documents.extend(new.id.map(|id| (owner, id)));
            }
            Write::UserMetadata(..)
            | Write::Member(..)
            | Write::Piece { .. }
            | Write::Waiting
            | Write::Responses(..) => {}
        }
        Ok(())
    }
}

/// Fails where creating would, because the thing is being deleted.
async fn refuse_deleted(
    tx: &mut Tx<'_, ReadOnly>,
    state: &mut BatchState,
    write: &Write<'_>,
) -> StoreResult<()> {
    let marked = match write {
        Write::User(new) => new.id.map(Marked::User),
        Write::Conversation(owner, new, _) => new.id.map(|id| Marked::Conversation { owner: *owner, id }),
        _ => None,
    };
    match marked {
        Some(marked)
            if !state.restores
                && state.found.has_deletions(tx).await?
                && tx.deletions().is_left(marked).await? =>
        {
            Err(StoreError::BeingDeleted(marked))
        }
        _ => Ok(()),
    }
}

impl Mode for ReadWrite {
    const IS_DRY: bool = false;

    async fn apply(tx: &mut Tx<'_, Self>, state: &mut BatchState, write: Write<'_>) -> StoreResult<()> {
        match write {
            Write::User(new) => {
                let created = tx.users().create(new).await?;
                state.found.note_user(created.id);
                Ok(())
            }
            Write::UserMetadata(id, metadata) => {
                let patch = UserPatch { metadata: Some(metadata), ..UserPatch::default() };
                tx.users().update(id, &patch).await.map(drop)
            }
            Write::Conversation(owner, new, _) => {
                if let Some(id) = new.id {
                    state.found.forget(owner, id, new.thread_id.as_deref());
                }
                if !state.is_repeated && state.found.user(owner) == Some(true) {
                    return tx.imports().conversation(&mut state.rows, owner, new);
                }
                write_waiting(tx, state).await?;
                tx.conversations().create(owner, new).await.map(drop)
            }
            Write::Member(owner, id, user, joined_at) => {
                write_waiting(tx, state).await?;
                tx.members().put_since(owner, id, user, MemberRole::Editor, joined_at).await.map(drop)
            }
            Write::Messages(owner, id, senders, new) => {
                state.found.forget(owner, id, None);
                tx.imports().messages(&mut state.rows, owner, id, senders, new).await?;
                // Where UUIDs repeat, the next message is compared with this one.
                if state.may_repeat_uuids { write_waiting(tx, state).await } else { Ok(()) }
            }
            Write::Waiting => write_waiting(tx, state).await,
            Write::Piece { owner, conversation, after, messages, completes } => {
                state.found.forget(owner, conversation, None);
                tx.imports().piece(&mut state.rows, owner, conversation, after, messages, completes).await
            }
            Write::Responses(new) => tx.messages().attach_responses(new).await,
            Write::Document(owner, new) => tx.documents().create(owner, new).await.map(drop),
        }
    }
}

async fn write_waiting(tx: &mut Tx<'_, ReadWrite>, state: &mut BatchState) -> StoreResult<()> {
    let rows = std::mem::take(&mut state.rows);
    tx.imports().store(&rows).await
}
