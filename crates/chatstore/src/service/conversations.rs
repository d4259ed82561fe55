use std::sync::Arc;

use chatstore_model::{
    Conversation, ConversationFilter, ConversationId, ConversationPatch, ConversationPosition,
    ConversationRole, IntoValid, Limit, NewConversation, Page, ThreadPosition, UserId,
};
use chatstore_sql::{ConversationList, DeletedThreads, ReadTx, WriteTx};

use super::deletions::NewMessageIds;
use super::{access, access_as_owner, as_owner_or_member, check_revision, check_writer};
use crate::error::{Error, Result};
use crate::user_scope::AsUser;

/// A page behind this many rows counts as a long read.
const LONG_OFFSET: u32 = 1_000;

pub(super) const EDITOR: &str = "an editor may change title, default_model and metadata only";

/// The conversations of one user, owned and shared.
#[derive(Debug, Clone, Copy)]
pub struct Conversations<'s>(pub(crate) AsUser<'s>);

impl<'s> AsUser<'s> {
    /// The user's conversations, owned and shared.
    #[must_use]
    pub const fn conversations(&self) -> Conversations<'s> {
        Conversations(*self)
    }
}

impl Conversations<'_> {
    /// Creates a conversation that the user owns.
    ///
    /// # Errors
    /// `Invalid`; `AlreadyExists` with field `thread_id`; `BeingDeleted` when the deletion of a conversation with
    /// the id of `new` takes more than 2 seconds; `NotFound` when the user is gone.
    pub async fn create(self, new: impl IntoValid<NewConversation>) -> Result<Conversation> {
        let new = Arc::new(new.into_valid()?);
        let (user, chat) = (self.0.user, self.0);
        let attempt = || {
            let new = Arc::clone(&new);
            let create = async move |tx: &mut WriteTx<'_>| tx.conversations().create(user, &*new).await;
            async move { Ok(chat.write_single("conversation_create", create).await?) }
        };
        chat.store.past_deletions(NewMessageIds::NONE, attempt).await
    }

    /// The user's own conversation with the application's id; created from `new` when there is none,
    /// else untouched by it. True when it was created.
    ///
    /// # Errors
    /// `Invalid`; `Conflict` when `new` has no `thread_id`; `BeingDeleted` as [`create`](Self::create).
    pub async fn get_or_create_by_thread(
        self,
        new: impl IntoValid<NewConversation>,
    ) -> Result<(Conversation, bool)> {
        let new = Arc::new(new.into_valid()?);
        let (user, chat) = (self.0.user, self.0);
        let attempt = || {
            let new = Arc::clone(&new);
            let get_or_create = async move |tx: &mut WriteTx<'_>| {
                Ok(tx.conversations().get_or_create_by_thread(user, &*new).await?)
            };
            chat.write("thread_get_or_create", get_or_create)
        };
        chat.store.past_deletions(NewMessageIds::NONE, attempt).await
    }

    /// A conversation with the user's role in it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(self, id: ConversationId) -> Result<(Conversation, ConversationRole)> {
        let user = self.0.user;
        let get = async move |tx: &mut ReadTx<'_>| {
            for by in as_owner_or_member(user) {
                if let Some(found) = tx.conversations().get(by, id).await? {
                    return Ok(found);
                }
            }
            Err(Error::not_found("conversation"))
        };
        self.0.store.read("conversation_get", get).await
    }

    /// The user's own conversation with the application's id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_by_thread(self, thread_id: &str) -> Result<Conversation> {
        let (user, thread_id) = (self.0.user, thread_id.to_owned());
        let found = self
            .0
            .store
            .read("thread_get", async move |tx| tx.conversations().find_by_thread(user, &thread_id).await)
            .await?;
        found.ok_or_else(|| Error::not_found("conversation"))
    }

    /// One page of the user's conversations, each with the user's role in it.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn page(
        self,
        list: ConversationList,
    ) -> Result<Page<(Conversation, ConversationRole), ConversationPosition>> {
        let user = self.0.user;
        let is_long = list.offset >= LONG_OFFSET || list.filter.compares();
        let page = async move |tx: &mut ReadTx<'_>| tx.conversations().page(user, &list).await;
        Ok(match is_long {
            false => self.0.read_list("conversation_page", page).await?,
            true => self.0.read_long_list("conversation_page", page).await?,
        })
    }

    /// How many conversations the user has.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn count(self, filter: ConversationFilter) -> Result<i64> {
        let user = self.0.user;
        let count = async move |tx: &mut ReadTx<'_>| tx.conversations().count(user, &filter).await;
        Ok(self.0.read_long_list("conversation_count", count).await?)
    }

    /// One page of the user's own conversations whose thread ids begin with `prefix`, by thread id. It takes the time of
    /// the page, unless the filter has to compare many others.
    ///
    /// # Errors
    /// `Invalid` for a prefix with NUL; `Internal` for a filter with ids.
    pub async fn page_of_threads(
        self,
        prefix: &str,
        filter: ConversationFilter,
        from: Option<ThreadPosition>,
        limit: Limit,
    ) -> Result<Page<(Conversation, ConversationRole), ThreadPosition>> {
        let (user, prefix, is_long) = (self.0.user, prefix.to_owned(), filter.compares());
        let page = async move |tx: &mut ReadTx<'_>| {
            tx.conversations().page_of_threads(user, &prefix, &filter, from.as_ref(), limit).await
        };
        Ok(match is_long {
            false => self.0.read_list("thread_page", page).await?,
            true => self.0.read_long_list("thread_page", page).await?,
        })
    }

    /// How many of the user's own conversations have thread ids that begin with `prefix`.
    ///
    /// # Errors
    /// As [`page_of_threads`](Self::page_of_threads).
    pub async fn count_of_threads(self, prefix: &str, filter: ConversationFilter) -> Result<i64> {
        let (user, prefix) = (self.0.user, prefix.to_owned());
        let count = async move |tx: &mut ReadTx<'_>| {
            tx.conversations().count_of_threads(user, &prefix, &filter).await
        };
        Ok(self.0.read_long_list("thread_count", count).await?)
    }

    /// Deletes the user's own conversations whose thread ids begin with `prefix`, as [`delete`](Self::delete) does each; how
    /// many there were. A maximum of 20 conversations of about 1,000 messages is deleted in one transaction, more of them
    /// in several, by thread id: what is deleted stays deleted when the call fails.
    ///
    /// # Errors
    /// `Invalid` for a prefix with NUL.
    pub async fn delete_threads(self, prefix: &str) -> Result<u64> {
        let (user, prefix) = (self.0.user, prefix.to_owned());
        let (mut deleted, mut from): (u64, Option<ThreadPosition>) = (0, None);
        loop {
            let (prefix, behind) = (prefix.clone(), from.take());
            let delete = async move |tx: &mut WriteTx<'_>| {
                Ok::<_, Error>(tx.conversations().delete_some_threads(user, &prefix, behind.as_ref()).await?)
            };
            let DeletedThreads { count, deletion, next } = self.0.write("thread_delete_many", delete).await?;
            self.0.store.go_on(deletion);
            deleted += count;
            match next {
                Some(place) => from = Some(place),
                None => return Ok(deleted),
            }
        }
    }

    /// Changes a conversation; an empty patch changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers, and for editors outside title, default model and
    /// metadata; `Invalid`; `AlreadyExists` with field `thread_id`.
    pub async fn update(
        self,
        id: ConversationId,
        patch: impl IntoValid<ConversationPatch>,
    ) -> Result<(Conversation, ConversationRole)> {
        let patch = patch.into_valid()?;
        let (user, expected) = (self.0.user, self.0.expected);
        let update = async move |tx: &mut WriteTx<'_>| {
            let access = access(tx, user, id).await?;
            check_writer(access.role)?;
            if access.role == ConversationRole::Editor && !patch.is_for_editors() {
                return Err(Error::forbidden(EDITOR));
            }
            check_revision(tx, access.owner_id, id, expected).await?;
            let conversation = tx.conversations().update(access.owner_id, id, &patch).await?;
            Ok((conversation, access.role))
        };
        self.0.write("conversation_update", update).await
    }

    /// Deletes a conversation with its members, messages and responses; usage stays. It no longer exists for any reader
    /// when this returns; the rows of a long one are deleted afterwards, in a task of their own.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for all but the owner.
    pub async fn delete(self, id: ConversationId) -> Result<()> {
        let (user, expected) = (self.0.user, self.0.expected);
        let delete = async move |tx: &mut WriteTx<'_>| {
            access_as_owner(tx, user, id).await?;
            check_revision(tx, user, id, expected).await?;
            Ok::<_, Error>(tx.conversations().delete(user, id).await?)
        };
        let deletion = self.0.write("conversation_delete", delete).await?;
        self.0.store.go_on(deletion);
        Ok(())
    }

    /// As [`update`](Self::update), of the user's own conversation with the application's id.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`; `AlreadyExists` with field `thread_id`.
    pub async fn update_by_thread(
        self,
        thread_id: &str,
        patch: impl IntoValid<ConversationPatch>,
    ) -> Result<Conversation> {
        let patch = patch.into_valid()?;
        let (user, expected, thread_id) = (self.0.user, self.0.expected, thread_id.to_owned());
        let update = async move |tx: &mut WriteTx<'_>| {
            let id = own_thread(tx, user, &thread_id).await?;
            check_revision(tx, user, id, expected).await?;
            Ok(tx.conversations().update(user, id, &patch).await?)
        };
        self.0.write("thread_update", update).await
    }

    /// As [`delete`](Self::delete), of the user's own conversation with the application's id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_by_thread(self, thread_id: &str) -> Result<()> {
        let (user, expected, thread_id) = (self.0.user, self.0.expected, thread_id.to_owned());
        let delete = async move |tx: &mut WriteTx<'_>| {
            let id = own_thread(tx, user, &thread_id).await?;
            check_revision(tx, user, id, expected).await?;
            Ok::<_, Error>(tx.conversations().delete(user, id).await?)
        };
        let deletion = self.0.write("thread_delete", delete).await?;
        self.0.store.go_on(deletion);
        Ok(())
    }
}

async fn own_thread(tx: &mut WriteTx<'_>, user: UserId, thread_id: &str) -> Result<ConversationId> {
    let found = tx.conversations().find_by_thread(user, thread_id).await?;
    found.map(|conversation| conversation.id).ok_or_else(|| Error::not_found("conversation"))
}
